"""`python -m worker`: a task of a node, or `convert` for local files."""

from __future__ import annotations

import os
import sys

from worker.command import parse


def main(arguments: list[str]) -> int:
    """The exit code: see worker/command.py."""
    options = parse(arguments)
    if options.command == "convert":
        from worker.local import main as convert  # noqa: PLC0415 (each command pays for its own imports)

        return convert(os.environ, options)
    from worker.node import main as run  # noqa: PLC0415 (as above)

    return run(os.environ, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
