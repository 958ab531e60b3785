"""The service's clock: ages of blobs are judged by the clock that dated them, so that a skewed host does no harm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

RESOLUTION = timedelta(seconds=2)
"""A `Date` header has whole seconds and has travelled: smaller differences mean nothing."""


class ServiceClock:
    """This host's clock, put right by what storage says the time is."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The time in UTC, as the service has it."""
        return datetime.now(UTC) + self._ahead

    def observe(self, served: datetime) -> None:
        """Takes note of the time at which the service answered just now."""
        ahead = served - datetime.now(UTC)
        self._ahead = ahead if abs(ahead) > RESOLUTION else timedelta()
