"""A clock that can run faster than the wall: Azure's minutes as seconds on a laptop.

All of the local cloud that waits for minutes on Azure (timers, delivery retries) counts in this clock's
time. `speed` 1 is the wall clock; at `speed` 60 an hourly timer fires every minute.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Starts at the present moment and runs `speed` times as fast as the wall clock (speed > 0)."""

    def __init__(self, *, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be greater than 0, not {speed}")
        self.speed = speed
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        """This clock's present moment (UTC)."""
        if self.speed == 1:
            return datetime.now(UTC)
        return self._started_at + timedelta(seconds=(time.monotonic() - self._started) * self.speed)

    def wall(self, moment: datetime) -> datetime:
        """The wall clock's time at which this clock shows `moment`: what is stored for the next start."""
        if self.speed == 1:
            return moment
        return self._started_at + (moment - self._started_at) / self.speed

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until this clock shows `moment`. Wakes at least once a minute, so a changed wall clock is seen."""
        while (left := (moment - self.now()).total_seconds() / self.speed) > 0:  # noqa: ASYNC110 - time is no event
            await asyncio.sleep(min(left, 60.0))
