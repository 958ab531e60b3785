"""`python -m localcloud up` and `python -m localcloud batch`."""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Sequence

from localcloud.leash import end_with_stdin

_COMMANDS = {
    "up": ("localcloud.up.command", "Azure on this machine: storage, events, functions, batch"),
    "batch": ("localcloud.batch.command", "the Batch service alone"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m localcloud", description="Azure on one machine.")
    parser.add_argument("--leashed", action="store_true", help="end when stdin ends")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in given:  # each command brings its own options, and its imports only when it is used
            importlib.import_module(module).add_arguments(command)
    arguments = parser.parse_args(given)
    if arguments.leashed:
        end_with_stdin()
    code: int = asyncio.run(importlib.import_module(_COMMANDS[arguments.command][0]).run(arguments))
    return code


if __name__ == "__main__":
    sys.exit(main())
