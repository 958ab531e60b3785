"""Timers: on schedule, never over themselves, once for what was missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.functions.timer import TimerRequest

from localcloud.clock import Clock
from localcloud.functions.index import AppFunction, TimerTrigger
from localcloud.functions.invocation import Invoker
from localcloud.functions.ncrontab import parse_schedule
from localcloud.functions.timer import ScheduleStatus, TimerListener, parse_status


class Memory:
    """A monitor that remembers for as long as the test."""

    def __init__(self, status: ScheduleStatus | None = None) -> None:
        self.status = status
        self.written = asyncio.Event()

    async def read(self, function: str) -> ScheduleStatus | None:
        return self.status

    async def write(self, function: str, status: ScheduleStatus) -> None:
        self.status = status
        self.written.set()


class StorageDown:
    async def read(self, function: str) -> ScheduleStatus | None:
        raise OSError("down")

    async def write(self, function: str, status: ScheduleStatus) -> None:
        raise OSError("down")


def _timer(call: Callable[..., Any], *, on_startup: bool = False) -> AppFunction:
    return AppFunction(
        name="tick",
        trigger=TimerTrigger(schedule="", run_on_startup=on_startup, monitor=True),
        argument="timer",
        call=call,
        returns=False,
        wants_context=False,
    )


@asynccontextmanager
async def _listening(
    function: AppFunction, schedule: str, monitor: Memory | StorageDown | None, clock: Clock
) -> AsyncIterator[None]:
    invoker = Invoker(app_root=Path(), timeout=None)
    listener = TimerListener(function, parse_schedule(schedule), clock=clock, invoker=invoker, monitor=monitor)
    task = asyncio.create_task(listener.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await invoker.close(grace_seconds=5)


async def _next(queue: "asyncio.Queue[TimerRequest]") -> TimerRequest:
    async with asyncio.timeout(20):
        return await queue.get()


def _recorder() -> tuple[AppFunction, "asyncio.Queue[TimerRequest]"]:
    calls: asyncio.Queue[TimerRequest] = asyncio.Queue()

    async def tick(timer: TimerRequest) -> None:
        calls.put_nowait(timer)

    return _timer(tick), calls


async def test_a_timer_fires_on_its_schedule_and_says_when_it_ran_and_runs() -> None:
    function, calls = _recorder()
    monitor = Memory()
    async with _listening(function, "0 * * * * *", monitor, Clock(speed=600)):
        first, second = await _next(calls), await _next(calls)
    assert not first.past_due
    assert set(first.schedule_status) == {"Last", "Next", "LastUpdated"}
    assert second.schedule_status["Last"] > first.schedule_status["Last"]


async def test_the_first_start_writes_a_status_without_a_run() -> None:
    """So that a timer that should run before the next start is seen as missed."""
    function, calls = _recorder()
    monitor = Memory()
    async with _listening(function, "0 0 0 1 1 *", monitor, Clock()), asyncio.timeout(20):
        await monitor.written.wait()
    assert calls.empty()
    assert monitor.status is not None
    assert monitor.status.next > datetime.now(UTC)


async def test_a_missed_run_happens_once_as_past_due() -> None:
    function, calls = _recorder()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    monitor = Memory(ScheduleStatus(last=yesterday, next=yesterday + timedelta(hours=1), updated=yesterday))
    async with _listening(function, "0 0 0 1 1 *", monitor, Clock()):
        late = await _next(calls)
        async with asyncio.timeout(20):
            await monitor.written.wait()
    assert late.past_due
    assert calls.empty()
    assert monitor.status is not None
    assert monitor.status.next > datetime.now(UTC)


async def test_a_timer_may_run_at_the_start() -> None:
    calls: asyncio.Queue[TimerRequest] = asyncio.Queue()

    async def tick(timer: TimerRequest) -> None:
        calls.put_nowait(timer)

    async with _listening(_timer(tick, on_startup=True), "0 0 0 1 1 *", Memory(), Clock()):
        assert not (await _next(calls)).past_due


async def test_a_timer_never_overlaps_itself() -> None:
    """A run that takes longer than the schedule's step delays the next one."""
    running = 0
    most = 0
    enough = asyncio.Event()
    ended = 0

    async def slow(timer: TimerRequest) -> None:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)  # three steps of the schedule, at this speed
        running -= 1
        ended += 1
        if ended == 3:
            enough.set()

    async with _listening(_timer(slow), "* * * * * *", None, Clock(speed=60)), asyncio.timeout(20):
        await enough.wait()
    assert most == 1


async def test_a_failing_run_does_not_stop_the_timer() -> None:
    calls: asyncio.Queue[TimerRequest] = asyncio.Queue()

    async def tick(timer: TimerRequest) -> None:
        calls.put_nowait(timer)
        raise RuntimeError("no")

    async with _listening(_timer(tick), "0 * * * * *", Memory(), Clock(speed=600)):
        await _next(calls)
        await _next(calls)


async def test_storage_that_is_away_does_not_stop_the_timer() -> None:
    function, calls = _recorder()
    async with _listening(function, "0 * * * * *", StorageDown(), Clock(speed=600)):
        await _next(calls)
        await _next(calls)


async def test_a_sync_timer_runs_beside_the_loop() -> None:
    loop = asyncio.get_running_loop()
    calls: asyncio.Queue[TimerRequest] = asyncio.Queue()

    def tick(timer: TimerRequest) -> None:
        loop.call_soon_threadsafe(calls.put_nowait, timer)

    async with _listening(_timer(tick), "0 * * * * *", Memory(), Clock(speed=600)):
        await _next(calls)


def test_a_stored_status_is_read_back() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    status = ScheduleStatus(last=at, next=at + timedelta(minutes=1), updated=at)
    text = str(status.document()).replace("'", '"').encode()
    assert parse_status(text) == status


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"Last": 1, "Next": 2, "LastUpdated": 3}', b'{"Last": "x"}'])
def test_what_is_no_status_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own message differs by case
        parse_status(text)
