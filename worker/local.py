"""`python -m worker convert`: local files, with the same policies and processes as on a node."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from shared.errors import DarkroomError, SettingsError
from shared.naming import JPEG_SUFFIXES, is_jpeg_name
from shared.settings import read
from shared.worker_settings import ConversionSettings, RunSettings
from worker.command import Exit
from worker.converters import Converters
from worker.node import available_cores
from worker.progress import Progress
from worker.report import human_bytes, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file to convert."""

    source: Path
    target: Path


@dataclass(slots=True)
class Tally:
    """What the summary tells."""

    converted: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0


class LocalError(DarkroomError):
    """A local file that was not converted, and why."""


def main(environ: Mapping[str, str], options: argparse.Namespace) -> Exit:
    """Converts a file or a folder. Failed files are named on standard error with their reasons."""
    try:
        conversion, settings = read(ConversionSettings, environ), read(RunSettings, environ)
        jobs = list(plan(options.source, options.target))
    except (SettingsError, LocalError) as error:
        sys.stderr.write(f"{error}\n")
        return Exit.WRONG
    if not jobs:
        sys.stderr.write(f"{options.source}: no JPGs there ({' '.join(JPEG_SUFFIXES)})\n")
        return Exit.NO_IMAGES
    started = time.monotonic()
    count = min(len(jobs), settings.processes or available_cores())
    converters = Converters(count, conversion, environ)
    try:
        tally = _convert_all(jobs, converters, force=options.force)
    finally:
        converters.close()
    _summarize(tally, time.monotonic() - started)
    return Exit.UNFINISHED if tally.failed else Exit.DONE


def plan(source: Path, target: Path) -> Iterator[Job]:
    """The files to convert. Raises LocalError where source or target cannot be, or two sources want one PNG."""
    if source.is_file():
        yield Job(source=source, target=target / source.with_suffix(".png").name if target.is_dir() else target)
        return
    if not source.is_dir():
        raise LocalError(f"{source}: no such file or folder")
    if target.is_file():
        raise LocalError(f"{target}: is a file, and {source} is a folder")
    taken: dict[Path, Path] = {}
    for path in sorted(path for path in source.rglob("*") if is_jpeg_name(path.name) and path.is_file()):
        png = target / path.relative_to(source).with_suffix(".png")
        if png in taken:
            raise LocalError(f"{taken[png]} and {path} would both become {png}: rename one")
        taken[png] = path
        yield Job(source=path, target=png)


def _convert_all(jobs: list[Job], converters: Converters, *, force: bool) -> Tally:
    """Converts with all processes; a few files wait in memory, not all of them."""
    tally, progress = Tally(), Progress(len(jobs))
    waiting = iter(jobs)
    running: dict[Future[tuple[int, int, int]], Job] = {}

    def begin(count: int) -> None:
        for job in islice(waiting, count):
            running[converters.threads.submit(_convert_one, job, converters, force=force)] = job

    begin(2 * converters.count)
    while running:
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            _count(future, running.pop(future), tally, progress)
        begin(len(ended))
    progress.clear()
    return tally


def _count(future: Future[tuple[int, int, int]], job: Job, tally: Tally, progress: Progress) -> None:
    try:
        bytes_in, bytes_out, pixels = future.result()
    except (DarkroomError, OSError) as error:
        tally.failed += 1
        progress.clear()
        sys.stderr.write(f"{printable(str(job.source))}: {_reason(error)}\n")
    else:
        tally.converted += 1
        tally.bytes_in += bytes_in
        tally.bytes_out += bytes_out
        tally.pixels += pixels
    progress.update(tally.converted + tally.failed, tally.failed)


def _convert_one(job: Job, converters: Converters, *, force: bool) -> tuple[int, int, int]:
    """Bytes in, bytes out, pixels. The PNG appears under its name only when it is whole."""
    if job.target.exists() and not force:
        raise LocalError(f"{job.target} exists; --force replaces it")
    data = job.source.read_bytes()
    png = converters.convert(data)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    partial = job.target.with_name(f".{job.target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines(png.pieces)
        partial.replace(job.target)
    finally:
        partial.unlink(missing_ok=True)
    return len(data), png.size, png.width * png.height


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return f"{reason.value}. {error}" if reason is not None else str(error)


def _summarize(tally: Tally, seconds: float) -> None:
    failed = f", {tally.failed} failed" if tally.failed else ""
    sys.stdout.write(
        f"{tally.converted} converted{failed}: {human_bytes(tally.bytes_in)} to {human_bytes(tally.bytes_out)} "
        f"in {seconds:.1f} s, {tally.pixels / 1e6 / max(seconds, 1e-9):.0f} megapixels a second\n"
    )
