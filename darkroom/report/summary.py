"""The figures of a report, added up outcome by outcome in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shared.outcome import Outcome, Result

EXAMPLES = 200
"""Rejected images that a report names; all are in the CSV."""
_BUCKETS = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000)


@dataclass(slots=True, kw_only=True)
class Summary:
    """Counts over outcomes. `milliseconds` counts converted images up to each bound (the last: beyond all)."""

    by_result: Counter[Result] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    by_hour: Counter[str] = field(default_factory=Counter)
    by_note: Counter[str] = field(default_factory=Counter)
    milliseconds: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0
    worked_ms: int = 0
    first: str = ""
    last: str = ""
    rejected: list[Outcome] = field(default_factory=list)
    torn: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one outcome."""
        self.by_result[outcome.result] += 1
        self.first = min(self.first or outcome.at, outcome.at)
        self.last = max(self.last, outcome.at)
        self.by_note.update(outcome.notes)
        if outcome.result is Result.CONVERTED:
            self.by_hour[outcome.at[:13]] += 1
            self.bytes_in += outcome.bytes_in
            self.bytes_out += outcome.bytes_out
            self.pixels += outcome.pixels
            self.worked_ms += outcome.milliseconds
            place = next((n for n, bound in enumerate(_BUCKETS) if outcome.milliseconds <= bound), len(_BUCKETS))
            self.milliseconds[place] += 1
        elif outcome.result is Result.REJECTED:
            self.by_reason[outcome.reason or "unknown"] += 1
            if len(self.rejected) < EXAMPLES:
                self.rejected.append(outcome)

    @property
    def images(self) -> int:
        """Outcomes of every kind."""
        return sum(self.by_result.values())

    def percentile(self, share: float) -> int | None:
        """The bound in milliseconds that at least `share` of the converted images keep; None without images."""
        total = sum(self.milliseconds)
        seen = 0
        for count, bound in zip(self.milliseconds, (*_BUCKETS, 10 * _BUCKETS[-1]), strict=True):
            seen += count
            if total and seen >= share * total:
                return bound
        return None

    def as_json(self) -> dict[str, Any]:
        """The figures, for programs."""
        return {
            "images": self.images,
            "by_result": {result.value: self.by_result[result] for result in Result},
            "by_reason": dict(self.by_reason.most_common()),
            "by_note": dict(self.by_note.most_common()),
            "converted_by_hour": dict(sorted(self.by_hour.items())),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "pixels": self.pixels,
            "worked_seconds": round(self.worked_ms / 1000, 1),
            "milliseconds_p50_at_most": self.percentile(0.5),
            "milliseconds_p95_at_most": self.percentile(0.95),
            "first": self.first,
            "last": self.last,
            "torn_lines": self.torn,
        }
