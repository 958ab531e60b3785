"""What the operator reads: few lines, each one worth it."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO


class Console:
    """Writes to the terminal (or wherever stdout goes). A reader that went away stops nothing."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def say(self, text: str) -> None:
        """One event, with the time of day."""
        self.show(f"{datetime.now().astimezone():%H:%M:%S} {text}")

    def show(self, text: str = "") -> None:
        """A line as it is."""
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (BrokenPipeError, OSError):
            return  # nobody reads; the logs and endpoints.json say the same

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Two columns."""
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.show(f"  {name:<{width}}  {value}")
