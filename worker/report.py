"""The worker's log: a line an image and a summary on standard output, for people or as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from shared.outcome import Outcome, Result
from shared.worker_settings import Log


def printable(name: str) -> str:
    """A name that cannot break a line or a terminal: control characters are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def human_bytes(count: float) -> str:
    """`1.2 MB`: three digits, powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError("unreachable: the last unit returns")


class Report:
    """Writes to `stream` and counts. `total` is the number of images of the run, those done before included."""

    def __init__(
        self,
        total: int,
        form: Log,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._json = form is Log.JSON
        self._stream = stream or sys.stdout
        self._clock = clock
        self._started = clock()
        self._index = 0
        self.results: Counter[Result] = Counter()
        self._bytes_in = 0
        self._bytes_out = 0
        self._pixels = 0

    def earlier(self, done: int) -> None:
        """Says that earlier runs have done some of the images already."""
        self._index = done
        if done:
            self.say("resumed", f"{done} of {self._total} images have an outcome from an earlier run", done=done)

    def image(self, outcome: Outcome) -> None:
        """One image's line."""
        self._index += 1
        self.results[outcome.result] += 1
        self._bytes_in += outcome.bytes_in
        self._bytes_out += outcome.bytes_out
        self._pixels += outcome.pixels
        facts = {
            "index": self._index,
            "total": self._total,
            "image": outcome.name,
            "result": outcome.result.value,
            "reason": outcome.reason,
            "bytes_in": outcome.bytes_in,
            "bytes_out": outcome.bytes_out,
            "pixels": outcome.pixels,
            "ms": outcome.milliseconds,
            "notes": list(outcome.notes),
        }
        self._line("image", self._text(outcome), facts)

    def summary(self, left: int) -> None:
        """The last line: counts, volumes, rate. `left` images have no outcome."""
        seconds = max(1e-9, self._clock() - self._started)
        counts = {result.value: self.results[result] for result in Result if self.results[result]}
        done = sum(self.results.values())
        text = " ".join(f"{name}={count}" for name, count in counts.items()) or "nothing to do"
        text += f" left={left}" if left else ""
        text += f" in={human_bytes(self._bytes_in)} out={human_bytes(self._bytes_out)} seconds={seconds:.1f}"
        text += f" images_per_second={done / seconds:.1f} megapixels_per_second={self._pixels / seconds / 1e6:.1f}"
        facts: dict[str, object] = {
            **counts,
            "left": left,
            "bytes_in": self._bytes_in,
            "bytes_out": self._bytes_out,
            "pixels": self._pixels,
            "seconds": round(seconds, 3),
        }
        self._line("summary", text, facts)

    def say(self, event: str, text: str, **facts: object) -> None:
        """A line that is about no image."""
        self._line(event, text, {"message": text, **facts})

    def _text(self, outcome: Outcome) -> str:
        where = f"[{self._index}/{self._total}] {printable(outcome.name)}: {outcome.result.value}"
        if outcome.result is Result.CONVERTED:
            volumes = f"{human_bytes(outcome.bytes_in)} -> {human_bytes(outcome.bytes_out)}"
            notes = f" ({', '.join(outcome.notes)})" if outcome.notes else ""
            return f"{where} {outcome.pixels / 1e6:.2f} MP {volumes} {outcome.milliseconds} ms{notes}"
        reason = f" {outcome.reason}" if outcome.reason else ""
        return f"{where}{reason}. {printable(outcome.detail)}".rstrip()

    def _line(self, event: str, text: str, facts: dict[str, object]) -> None:
        line = json.dumps({"event": event, **facts}, ensure_ascii=False) if self._json else text
        self._stream.write(line.encode("utf-8", "replace").decode("utf-8") + "\n")
        self._stream.flush()
