"""A progress bar for a terminal, and nothing where there is none."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

_MARKS = " ▏▎▍▌▋▊▉█"


def bar(done: int, total: int, width: int) -> str:
    """A bar of `width` characters, in eighths."""
    eighths = round(8 * width * done / total) if total else 8 * width
    full, part = divmod(eighths, 8)
    return ("█" * full + (_MARKS[part] if part else "")).ljust(width)


class Progress:
    """Draws over one line of a terminal."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()

    def update(self, done: int, failed: int) -> None:
        """Draws the state."""
        if not self._shown:
            return
        tail = f" {done}/{self._total}" + (f", {failed} failed" if failed else "")
        width = max(10, min(60, shutil.get_terminal_size().columns - len(tail) - 2))
        self._stream.write(f"\r{bar(done, self._total, width)}{tail}\x1b[K")
        self._stream.flush()

    def clear(self) -> None:
        """Takes the line away, so that other lines can be printed."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
