"""Service time: the wall clock, run `speed` times faster."""

import time


class Clock:
    """Seconds since 1970 of the service's own time. It starts at `start` (or now) and never goes back."""

    def __init__(self, *, speed: float = 1.0, start: float | None = None) -> None:
        if speed <= 0:
            raise ValueError(f"speed {speed}: it must be above 0")
        self.speed = speed
        self._origin = time.time() if start is None else max(start, time.time())
        self._began = time.monotonic()

    def now(self) -> float:
        return self._origin + (time.monotonic() - self._began) * self.speed

    def wall_seconds_until(self, service_time: float) -> float:
        return max(0.0, (service_time - self.now()) / self.speed)
