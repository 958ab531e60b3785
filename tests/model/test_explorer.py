"""The explorer itself: it visits every schedule, finds planted faults, and tells how to get there."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.model.explorer import ViolationError, explore
from tests.model.schedule import Budget, Scenario, Stage


@dataclass
class Shelf:
    """A shared number and a log of what happened to it."""

    number: int = 0
    log: list[str] = field(default_factory=list)

    def snapshot(self) -> Hashable:
        return self.number, tuple(self.log)

    def put(self, value: int) -> None:
        self.number = value

    def add(self) -> None:
        self.number += 1

    def note(self, word: str) -> None:
        self.log.append(word)


async def nothing() -> None:
    """Nobody tidies up."""


def fine() -> None:
    """Everything is allowed."""


def noting(stage: Stage, *, words: int) -> Scenario:
    shelf = Shelf()

    async def actor(name: str) -> None:
        for n in range(words):
            await stage.act(f"note {name}{n}", partial(shelf.note, f"{name}{n}"))

    return Scenario(
        world=shelf,
        actors={"a": lambda: actor("a"), "b": lambda: actor("b")},
        always=fine,
        settle=nothing,
        finally_=fine,
    )


def test_every_interleaving_is_counted_once() -> None:
    """Two actors of two and of three steps interleave in C(4,2) = 6 and C(6,3) = 20 ways."""
    assert explore(lambda stage: noting(stage, words=2), budget=Budget(), most_states=1000).schedules == 6
    assert explore(lambda stage: noting(stage, words=3), budget=Budget(), most_states=1000).schedules == 20


def test_equal_states_are_followed_once() -> None:
    """Steps that commute reach equal states: far fewer are visited than there are schedules."""

    def make(stage: Stage) -> Scenario:
        shelf = Shelf()

        async def actor() -> None:
            for n in range(5):
                await stage.act(f"add {n}", shelf.add)

        return Scenario(world=shelf, actors={"a": actor, "b": actor}, always=fine, settle=nothing, finally_=fine)

    report = explore(make, budget=Budget(), most_states=1000)
    assert (report.schedules, report.states) == (252, 36)


def counting(stage: Stage, *, atomic: bool) -> Scenario:
    shelf = Shelf()

    async def actor() -> None:
        if atomic:
            await stage.act("add", shelf.add)
            return
        seen = await stage.act("read", lambda: shelf.number)
        await stage.act("write", lambda: shelf.put(seen + 1))

    def both_counted() -> None:
        assert shelf.number == 2, "an increment was lost"

    return Scenario(world=shelf, actors={"a": actor, "b": actor}, always=fine, settle=nothing, finally_=both_counted)


def test_a_lost_update_is_found_and_its_schedule_told() -> None:
    assert explore(lambda stage: counting(stage, atomic=True), budget=Budget(), most_states=100).schedules == 2
    with pytest.raises(ViolationError, match="an increment was lost") as caught:
        explore(lambda stage: counting(stage, atomic=False), budget=Budget(), most_states=100)
    assert str(caught.value).count(": read [answered]") == 2


def test_a_crash_leaves_either_the_operation_or_nothing() -> None:
    """With one crash allowed, an actor of one step ends in three ways: done, dead before, dead after."""
    seen: set[tuple[Hashable, ...]] = set()

    def make(stage: Stage) -> Scenario:
        shelf = Shelf()
        told: list[str] = []

        async def actor() -> None:
            await stage.act("note", lambda: shelf.note("x"))
            told.append("done")

        return Scenario(
            world=shelf,
            actors={"a": actor},
            always=fine,
            settle=nothing,
            finally_=lambda: seen.add((tuple(shelf.log), tuple(told))),
        )

    report = explore(make, budget=Budget(crashes=1), most_states=100)
    assert seen == {(("x",), ("done",)), ((), ()), (("x",), ())}
    assert (report.schedules, report.crashes) == (3, 2)


def test_a_lost_answer_reaches_the_actor_as_an_error() -> None:
    seen: set[tuple[int, int]] = set()

    def make(stage: Stage) -> Scenario:
        shelf = Shelf()
        errors: list[str] = []

        async def actor() -> None:
            try:
                await stage.act("add", shelf.add)
            except ConnectionError:
                errors.append("lost")

        return Scenario(
            world=shelf,
            actors={"a": actor},
            always=fine,
            settle=nothing,
            finally_=lambda: seen.add((shelf.number, len(errors))),
        )

    explore(make, budget=Budget(losses=1, refusals=1), most_states=100)
    assert seen == {(1, 0), (1, 1), (0, 1)}


def test_tasks_of_one_actor_interleave_and_asyncio_works() -> None:
    """Locks, gather, timeouts and sleep behave, on a clock that moves only when nothing else can."""
    seen: set[tuple[str, ...]] = set()

    def make(stage: Stage) -> Scenario:
        shelf = Shelf()
        lock = asyncio.Lock()

        async def part(word: str) -> None:
            async with lock:
                await stage.act(f"{word}1", lambda: shelf.note(word))
                await asyncio.sleep(3600)
                await stage.act(f"{word}2", lambda: shelf.note(word))

        async def actor() -> None:
            await asyncio.gather(part("x"), part("y"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.Event().wait()
            shelf.note("end")

        return Scenario(
            world=shelf,
            actors={"a": actor},
            always=fine,
            settle=nothing,
            finally_=lambda: seen.add(tuple(shelf.log)),
        )

    explore(make, budget=Budget(), most_states=100)
    assert seen == {("x", "x", "y", "y", "end")}


def test_an_actor_that_waits_for_ever_is_a_violation() -> None:
    def make(stage: Stage) -> Scenario:
        async def actor() -> None:
            await asyncio.Event().wait()

        return Scenario(world=Shelf(), actors={"a": actor}, always=fine, settle=nothing, finally_=fine)

    with pytest.raises(ViolationError, match="waits for something that never comes"):
        explore(make, budget=Budget(), most_states=10)


def test_too_large_a_scenario_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(RuntimeError, match="more than 5 states"):
        explore(lambda stage: noting(stage, words=3), budget=Budget(), most_states=5)
