"""Timer triggers.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
A timer never overlaps itself: its next run is scheduled when the present one has ended. Its status lies in
storage, so a run that was missed while the host was down happens once at the next start, as past due.
"""

import contextlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from azure.functions.timer import TimerRequest

from localcloud.clock import Clock
from localcloud.functions.index import AppFunction, TimerTrigger
from localcloud.functions.invocation import InvocationFailedError, Invoker
from localcloud.functions.ncrontab import Schedule

_log = logging.getLogger(__name__)

_SHORTEST_MONITORED = timedelta(minutes=1)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """When a timer ran last, runs next, and when that was written down (wall clock)."""

    last: datetime
    next: datetime
    updated: datetime

    def document(self) -> dict[str, str]:
        """As the host stores it and hands it to the function."""
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.updated.isoformat(),
        }


def parse_status(text: bytes) -> ScheduleStatus:
    """A stored status. Raises ValueError when it is none."""
    try:
        values = json.loads(text)
        last, following, updated = (datetime.fromisoformat(values[key]) for key in ("Last", "Next", "LastUpdated"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no timer status: {error!r}") from error
    return ScheduleStatus(last=last, next=following, updated=updated)


class ScheduleMonitor(Protocol):
    """Remembers timers' statuses across restarts."""

    async def read(self, function: str) -> ScheduleStatus | None:
        """The status of a function's timer; None when it never ran. Raises OSError when storage is away."""
        ...

    async def write(self, function: str, status: ScheduleStatus) -> None:
        """Replace it. Raises OSError when storage is away."""
        ...


class TimerListener:
    """Calls one timer function on its schedule. `monitor` None forgets everything at a restart."""

    def __init__(
        self,
        function: AppFunction,
        schedule: Schedule,
        *,
        clock: Clock,
        invoker: Invoker,
        monitor: ScheduleMonitor | None,
    ) -> None:
        if not isinstance(function.trigger, TimerTrigger):
            raise TypeError(f"{function.name} is no timer")
        self._function = function
        self._trigger = function.trigger
        self._schedule = schedule
        self._clock = clock
        self._invoker = invoker
        self._monitor = monitor if self._is_monitored() else None
        self._status: ScheduleStatus | None = None

    def _is_monitored(self) -> bool:
        if self._trigger.monitor is not None:
            return self._trigger.monitor
        first = self._schedule.after(self._clock.now())
        second = self._schedule.after(first) if first else None
        # More often than once a minute is not remembered, as on Azure.
        return first is None or second is None or second - first >= _SHORTEST_MONITORED

    async def run(self) -> None:
        """Fire on schedule until cancelled, or until the schedule has no more occurrences."""
        self._status = await self._read()
        if self._status is not None and self._status.next <= self._clock.wall(self._clock.now()):
            await self._fire(past_due=True)
        elif self._trigger.run_on_startup:
            await self._fire(past_due=False)
        elif self._status is None:
            await self._write(last=None)
        while (following := self._schedule.after(self._clock.now())) is not None:
            await self._clock.sleep_until(following)
            await self._fire(past_due=False)
        _log.warning("timer %s has no further occurrence", self._function.name)

    async def _fire(self, *, past_due: bool) -> None:
        fired = self._clock.now()
        # A failure is in the log with its traceback; the next occurrence is another try.
        with contextlib.suppress(InvocationFailedError):
            await self._invoker.call(
                self._function,
                timer_request(self._status, past_due=past_due),
                reason="Timer fired at " + self._clock.wall(fired).isoformat(timespec="milliseconds"),
            )
        await self._write(last=fired)

    async def _read(self) -> ScheduleStatus | None:
        if self._monitor is None:
            return None
        try:
            return await self._monitor.read(self._function.name)
        except (OSError, ValueError) as error:
            _log.warning("the status of timer %s cannot be read: %s", self._function.name, error)
            return None

    async def _write(self, *, last: datetime | None) -> None:
        now = self._clock.now()
        following = self._schedule.after(now)
        self._status = ScheduleStatus(
            last=self._clock.wall(last) if last else _NEVER,
            next=self._clock.wall(following) if following else _NEVER,
            updated=self._clock.wall(now),
        )
        if self._monitor is None:
            return
        try:
            await self._monitor.write(self._function.name, self._status)
        except OSError as error:
            _log.warning("the status of timer %s cannot be written: %s", self._function.name, error)


def timer_request(status: ScheduleStatus | None, *, past_due: bool) -> TimerRequest:
    """What the function gets."""
    return TimerRequest(
        past_due=past_due,
        schedule_status=status.document() if status else None,
        schedule={"AdjustForDST": True},
    )
