"""Young answers are given again."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.dashboard.fresh import Fresh
from tests.dashboard.conftest import Clock


async def test_an_answer_is_made_once_while_it_is_young(clock: Clock) -> None:
    made: list[int] = []
    fresh: Fresh[int] = Fresh(seconds=5, clock=clock)

    async def make() -> int:
        made.append(1)
        return len(made)

    assert [await fresh.get("a", make), await fresh.get("a", make)] == [1, 1]
    clock.now = 6
    assert await fresh.get("a", make) == 2


async def test_who_asks_while_it_is_made_waits_for_that_one(clock: Clock) -> None:
    made: list[int] = []
    fresh: Fresh[int] = Fresh(seconds=5, clock=clock)

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0)
        return len(made)

    assert await asyncio.gather(*(fresh.get("a", make) for _ in range(50))) == [1] * 50


async def test_an_error_is_not_remembered(clock: Clock) -> None:
    fresh: Fresh[int] = Fresh(seconds=5, clock=clock)

    async def fail() -> int:
        raise OSError("away")

    async def work() -> int:
        return 7

    with pytest.raises(OSError, match="away"):
        await fresh.get("a", fail)
    assert await fresh.get("a", work) == 7


async def test_only_so_many_keys_are_remembered(clock: Clock) -> None:
    fresh: Fresh[int] = Fresh(seconds=5, clock=clock, most=3)

    async def make() -> int:
        return 1

    for number in range(100):
        await fresh.get(number, make)
    assert len(fresh._known) == 3
    assert len(fresh._locks) <= 3
