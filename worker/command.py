"""The command line's words: what `python -m worker` can be asked, and the exit codes it answers with."""

from __future__ import annotations

import argparse
from enum import IntEnum
from pathlib import Path

from shared.worker_settings import Log


class Exit(IntEnum):
    """What a run's exit code means. `docs/conversion.md` lists them for operators."""

    DONE = 0
    """Every image has an outcome; rejected ones too."""
    UNFINISHED = 1
    """Storage was away, or the node asked to stop: the same task may finish it later. `convert`: a file failed."""
    WRONG = 2
    """A setting, an argument or a document is wrong: a retry gives the same answer."""
    NO_CONTAINER = 3
    NO_IMAGES = 4
    NO_CREDENTIALS = 5


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line. Exits with 2 and a usage line where it is wrong."""
    if arguments[:1] == ["convert"]:
        return _convert_parser().parse_args(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Converts the JPGs of a manifest (environment: DARKROOM_MANIFEST), or of a prefix, to PNGs.",
        epilog="`python -m worker convert SRC DST` converts local files. Exit codes: 0 done, 1 unfinished (try again), "
        "2 wrong settings or usage, 3 no such container or manifest, 4 no images, 5 no credentials.",
    )
    parser.set_defaults(command="run")
    parser.add_argument("--log", type=Log, choices=list(Log), help="text or json (default: WORKER_LOG, else text)")
    parser.add_argument("--prefix", help="without a manifest: convert the images whose names start so ('' for all)")
    parser.add_argument("--task-id", type=int, default=0, metavar="I", help="with --total-tasks: which share, from 0")
    parser.add_argument("--total-tasks", type=int, default=1, metavar="N", help="take every Nth image of the listing")
    parser.add_argument("--first", action="store_true", help="take the first image of the listing alone")
    options = parser.parse_args(arguments)
    if not 0 <= options.task_id < options.total_tasks:
        parser.error(f"--task-id must be from 0 to {options.total_tasks - 1} (--total-tasks {options.total_tasks})")
    if options.prefix is None and (options.first or options.total_tasks > 1):
        parser.error("--first and --total-tasks need --prefix")
    return options


def _convert_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker convert",
        description="Converts a JPG to a PNG, or all JPGs of a folder (and its folders) into another folder. "
        "Policies and limits come from the environment, as on a node. Exit code 1 if any file failed.",
    )
    parser.set_defaults(command="convert")
    parser.add_argument("source", type=Path, metavar="SRC", help="a JPG, or a folder")
    parser.add_argument("target", type=Path, metavar="DST", help="the PNG, or a folder (made when missing)")
    parser.add_argument("--force", action="store_true", help="replace PNGs that are there already")
    return parser
