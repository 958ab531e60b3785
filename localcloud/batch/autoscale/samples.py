"""The metric history that a formula reads: a sample each 30 s, readable about a minute later."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

Moment = datetime | float  # a datetime with a time zone, or seconds since 1970

DEFAULT_PERIOD: Final = 30.0
DEFAULT_LAG: Final = 60.0
DEFAULT_KEEP: Final = 24 * 3600.0


def _seconds(at: Moment) -> float:
    return at.timestamp() if isinstance(at, datetime) else at


@dataclass(slots=True)
class _Column:
    """The samples of one metric, oldest first."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


class SampleStore:
    """Samples of a pool's metrics, as the Batch service keeps them.

    A sample taken at T can be read from T + `lag` on. Metrics may miss samples: `record` only what was
    measured.
    Samples older than `keep` seconds before the newest are dropped (Batch does not say how long it keeps
    them).

    A time frame holds its older end and not its newer one. So five minutes hold ten samples, as on Batch's page, and
    the three-minute frames of its examples, which ask for 70 percent, find five of six and run, as users of Azure
    report that they do (Azure/Batch#120).

    Mirrors "Obtain sample data" of https://learn.microsoft.com/azure/batch/batch-automatic-scaling.
    """

    def __init__(self, *, period: float = DEFAULT_PERIOD, lag: float = DEFAULT_LAG, keep: float = DEFAULT_KEEP) -> None:
        if period <= 0 or lag < 0 or keep < period:
            raise ValueError(f"period {period}, lag {lag}, keep {keep}: need period > 0, lag >= 0, keep >= period")
        self.period = period
        self.lag = lag
        self.keep = keep
        self._columns: dict[str, _Column] = {}
        self._last = float("-inf")

    def record(self, at: Moment, values: Mapping[str, float]) -> None:
        """Add one row: metric name (with `$`) to value, taken at `at`. Raises ValueError where rows go back
        in time."""
        seconds = _seconds(at)
        if seconds < self._last:
            raise ValueError(f"a sample of {seconds} after one of {self._last}: samples come in order of time")
        self._last = seconds
        for metric, value in values.items():
            column = self._columns.get(metric)
            if column is None:
                column = self._columns[metric] = _Column()
            column.times.append(seconds)
            column.values.append(float(value))
            if column.times[0] < seconds - 2 * self.keep:
                stale = bisect_left(column.times, seconds - self.keep)
                del column.times[:stale], column.values[:stale]

    def rows(self) -> list[tuple[float, dict[str, float]]]:
        """All samples kept, oldest first: what `record` needs to make an equal store."""
        rows: dict[float, dict[str, float]] = {}
        for metric, column in self._columns.items():
            for at, value in zip(column.times, column.values, strict=True):
                rows.setdefault(at, {})[metric] = value
        return sorted(rows.items())

    def latest(self, metric: str, now: Moment, count: int) -> tuple[float, ...]:
        """The last `count` published samples, oldest first; fewer where there are fewer."""
        column = self._columns.get(metric)
        if column is None or count <= 0:
            return ()
        end = bisect_right(column.times, _seconds(now) - self.lag)
        return tuple(column.values[max(0, end - count) : end])

    def between(self, metric: str, now: Moment, start: Moment, end: Moment) -> tuple[float, ...]:
        """The published samples with start <= time < end, oldest first."""
        column = self._columns.get(metric)
        if column is None:
            return ()
        first = bisect_left(column.times, _seconds(start))
        published = bisect_right(column.times, _seconds(now) - self.lag)
        return tuple(column.values[first : min(bisect_left(column.times, _seconds(end)), published)])

    def percent(self, metric: str, now: Moment, start: Moment, end: Moment) -> float:
        """Published samples in [start, end) against the number that the period allows, 0 to 100."""
        possible = max(1, int((_seconds(end) - _seconds(start)) / self.period + 1e-9))
        return min(100.0, 100.0 * len(self.between(metric, now, start, end)) / possible)

    def count(self, metric: str, now: Moment) -> int:
        """How many samples of the metric are published."""
        column = self._columns.get(metric)
        return bisect_right(column.times, _seconds(now) - self.lag) if column else 0

    def begin(self, metric: str, now: Moment) -> float | None:
        """The time of the oldest published sample in seconds since 1970, or None."""
        column = self._columns.get(metric)
        if not column or not column.times or column.times[0] > _seconds(now) - self.lag:
            return None
        return column.times[0]
