"""A pool's sample history, read on the grid on which it was taken."""

from collections.abc import Mapping
from datetime import datetime

from localcloud.batch.autoscale import SampleStore

Moment = datetime | float


class History(SampleStore):
    """A `SampleStore` whose time frames are moved back to the last sample.

    A formula is evaluated at any moment, not only when a sample is taken. Without this, a frame of three minutes would
    hold five published samples at one moment and four ten seconds later; on Azure such frames, with 70 percent wanted,
    work (Azure/Batch#120).
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken = float("-inf")

    def record(self, at: Moment, values: Mapping[str, float]) -> None:
        super().record(at, values)
        self._taken = _seconds(at)

    def between(self, metric: str, now: Moment, start: Moment, end: Moment) -> tuple[float, ...]:
        back = _seconds(now) - self._taken
        if not 0 < back < self.period:
            back = 0.0
        return super().between(metric, _seconds(now) - back, _seconds(start) - back, _seconds(end) - back)


def _seconds(at: Moment) -> float:
    return at.timestamp() if isinstance(at, datetime) else at
