"""`darkroom` and `python -m darkroom`: loading the command line takes a moment, in which Ctrl-C is no fault either."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of ExitCode's numbers."""
    try:
        from darkroom.command_line import main as run  # noqa: PLC0415 (this is the moment)
    except KeyboardInterrupt:
        sys.stderr.write("darkroom: Interrupted.\n")
        sys.exit(130)  # ExitCode.INTERRUPTED
    run(arguments)


if __name__ == "__main__":
    main()
