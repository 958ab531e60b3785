"""Outcomes are durable in groups while the work goes on, and none is lost at the end; budgets are kept."""

from __future__ import annotations

import asyncio

import pytest

from shared.outcome import Outcome, Result, from_lines
from tests.worker.memory import MemoryBlobs
from worker.blobs import StorageAwayError
from worker.budget import Budget
from worker.ledger import Ledger


def outcome(number: int) -> Outcome:
    return Outcome(name=f"{number}.jpg", etag="0x1", result=Result.CONVERTED, at="2026-01-01T00:00:00Z")


def written(blobs: MemoryBlobs, run: str = "run") -> list[str]:
    data = blobs.containers["outcomes"][f"m/{run}.jsonl"].data
    return [found.name for found in from_lines(data, where="m").outcomes]


async def test_a_full_group_is_appended_at_once_and_the_rest_at_the_end() -> None:
    """Few appends for many images, and nothing is left behind."""
    blobs, appended = MemoryBlobs("outcomes"), asyncio.Event()

    async def notice(operation: str, *_: str) -> None:
        if operation == "append":
            appended.set()

    blobs.before = notice
    ledger = Ledger(blobs, "outcomes", "m", "run")
    async with ledger.keep():
        for number in range(50):
            ledger.add(outcome(number))
        await asyncio.wait_for(appended.wait(), 30)
        ledger.add(outcome(50))
    assert written(blobs) == [f"{number}.jpg" for number in range(51)]
    assert [operation for operation, _, _ in blobs.operations] == ["create_log", "append", "append"]


async def test_a_run_without_outcomes_writes_no_blob() -> None:
    """Nothing to say, nothing said."""
    blobs = MemoryBlobs("outcomes")
    async with Ledger(blobs, "outcomes", "m", "run").keep():
        pass
    assert blobs.operations == []


async def test_outcomes_are_written_even_when_the_run_fails() -> None:
    """What is done is done."""
    blobs = MemoryBlobs("outcomes")
    ledger = Ledger(blobs, "outcomes", "m", "run")

    async def failing() -> None:
        async with ledger.keep():
            ledger.add(outcome(1))
            raise ValueError("the run")

    with pytest.raises(ValueError, match="the run"):
        await failing()
    assert written(blobs) == ["1.jpg"]


async def test_an_append_that_fails_is_made_again() -> None:
    """The group stays pending until storage has it."""
    blobs = MemoryBlobs("outcomes")
    ledger = Ledger(blobs, "outcomes", "m", "run")

    async def away(operation: str, *_: str) -> None:
        if operation == "append":
            raise StorageAwayError("away")

    blobs.before = away
    ledger.add(outcome(1))
    with pytest.raises(StorageAwayError):
        await ledger.flush()
    blobs.before = None
    await ledger.flush()
    assert written(blobs) == ["1.jpg"]


async def test_earlier_runs_are_read_torn_lines_and_all() -> None:
    """A run that was killed in mid-write leaves a torn line; its image counts as not done."""
    blobs = MemoryBlobs("outcomes")
    for run, numbers in (("one", [1, 2]), ("two", [3])):
        ledger = Ledger(blobs, "outcomes", "m", run)
        for number in numbers:
            ledger.add(outcome(number))
        await ledger.flush()
    blobs.containers["outcomes"]["m/two.jsonl"].data += b'{"kind":"outc'
    blobs.seed("outcomes", "m2/other.jsonl", b"not ours")
    earlier = await Ledger(blobs, "outcomes", "m", "three").earlier()
    assert sorted(found.name for found in earlier) == ["1.jpg", "2.jpg", "3.jpg"]


async def test_a_budget_is_first_come_first_served_and_lets_a_giant_go_alone() -> None:
    """A large piece is neither refused nor overtaken for ever."""
    budget = Budget(10)
    order: list[int] = []

    async def piece(units: int) -> None:
        async with budget.hold(units):
            order.append(units)
            assert budget.held <= 10 or budget.held == units
            await asyncio.sleep(0)

    await asyncio.gather(*(piece(units) for units in (6, 4, 50, 3, 8)))
    assert order == [6, 4, 50, 3, 8]
    assert budget.held == 0


async def test_a_cancelled_wait_gives_its_turn_back() -> None:
    """Whoever waits behind goes on."""
    budget = Budget(10)
    async with budget.hold(10):
        waiting = [asyncio.create_task(_hold(budget, units)) for units in (10, 5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
    await waiting[1]
    assert budget.held == 0


async def _hold(budget: Budget, units: int) -> None:
    async with budget.hold(units):
        pass
