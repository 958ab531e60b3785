"""Every interleaving of appenders and dispatchers, with crashes and lost answers: nothing is lost, nothing forks.

The code is the real one; only storage and the clock are not. What is counted is asserted, so that a scenario that
shrank to nothing would be noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from pipeline import plan as plans
from pipeline.plan import Plan
from pipeline.sealing import SEALED, Sealed, Sealing
from pipeline.storage import BlobChangedError, BlobMissingError
from shared.manifest import to_bytes
from tests.model.darkroom import House, arrival, unavailable
from tests.model.explorer import Report, ViolationError, explore
from tests.model.schedule import Budget, Scenario, Stage

pytestmark = pytest.mark.timeout(600)  # a search is long where the machine is busy

A, B, C = (arrival(f"{letter}.jpg") for letter in "abc")


def run(make: Callable[[Stage], Scenario], budget: Budget) -> Report:
    return explore(make, budget=budget, most_states=40_000, lost_error=unavailable, refused_error=unavailable)


def one_of_each(stage: Stage) -> Scenario:
    """A process that appends two arrivals, and a dispatcher that runs twice meanwhile."""
    house = House(stage)
    actors = {"appender": house.appender("p", A, B), "dispatcher": house.dispatcher("d", steps=2)}
    return house.scenario(actors, finally_=house.each_once)


def brought_again(stage: Stage) -> Scenario:
    """As one_of_each, with an appender that brings again what it was not told is durable."""
    house = House(stage)
    actors = {"appender": house.appender("p", A, B, tries=2), "dispatcher": house.dispatcher("d", steps=2)}
    return house.scenario(actors, finally_=house.all_in_manifests)


def two_dispatchers(stage: Stage, kind: type[Sealing] = Sealing) -> Scenario:
    """Two dispatchers at once, over an inbox that is there and one that comes meanwhile."""
    house = House(stage, kind=kind)
    house.already_arrived("o", A)
    actors = {
        "appender": house.appender("p", B),
        "dispatcher 1": house.dispatcher("d1"),
        "dispatcher 2": house.dispatcher("d2"),
    }
    return house.scenario(actors, finally_=house.each_once)


def closed_meanwhile(stage: Stage) -> Scenario:
    """Two dispatchers on one plan, and a collector that closes manifests as soon as they are there."""
    house = House(stage)
    house.already_arrived("o", A, B)
    house.already_arrived("p", C)
    actors = {"closer": house.closer(), "dispatcher 1": house.dispatcher("d1"), "dispatcher 2": house.dispatcher("d2")}
    return house.scenario(actors, finally_=house.each_once)


def concurrent_invocations(stage: Stage) -> Scenario:
    """Three invocations in one process share appends while a dispatcher takes the blob away."""
    house = House(stage)
    actors = {"appender": house.group("p", A, B, C), "dispatcher": house.dispatcher("d")}
    return house.scenario(actors, finally_=house.each_once)


def test_an_appender_and_a_dispatcher_with_up_to_two_crashes() -> None:
    """Every schedule, without a bound on switches."""
    report = run(one_of_each, Budget(crashes=2))
    assert report.schedules > 1_000_000
    assert report.crashes > 500


def test_lost_answers_and_refusals_make_an_arrival_come_twice_and_never_not_at_all() -> None:
    report = run(brought_again, Budget(losses=1, refusals=1, switches=1))
    assert report.schedules > 1_000


def test_concurrent_invocations_of_one_process_are_all_answered() -> None:
    report = run(concurrent_invocations, Budget(crashes=1, switches=2))
    assert report.schedules > 300


def test_two_dispatchers_at_once_with_up_to_two_switches() -> None:
    """Every schedule in which actors are left at most twice while they could go on (they may end at any time)."""
    report = run(two_dispatchers, Budget(switches=2))
    assert report.schedules > 50_000


def test_two_dispatchers_of_which_one_dies() -> None:
    report = run(two_dispatchers, Budget(crashes=1, switches=1))
    assert report.schedules > 50_000


def test_a_manifest_that_a_late_dispatcher_writes_again_is_the_same() -> None:
    """Closed and gone, it may come back from a dispatcher that was asleep: the same content under the same name."""
    report = run(closed_meanwhile, Budget(switches=1))
    assert report.schedules > 1_000


class Hasty(Sealing):
    """Takes a missing inbox of a plan for the sign that all manifests of the plan are written.

    It is not: an earlier plan, whose dispatcher was first, may have taken that inbox, and this plan the others.
    """

    async def _carry_out(self, plan: Plan, etag: str) -> Sealed | None:
        contents = await asyncio.gather(*(self._read(name) for name in plan.inboxes))
        if b"" not in contents:
            arrivals, _ = self._parse(plan, contents)
            await asyncio.gather(*(self._write(manifest) for manifest in plans.cut(plan, arrivals)))
        await asyncio.gather(*(self._forget(name) for name in plan.inboxes))
        with suppress(BlobChangedError):
            await self.manifests.delete(plans.BLOB, etag=etag)
        return None


class Blind(Sealing):
    """Reads and deletes inboxes that it has not sealed."""

    async def _seal(self, name: str) -> bool:
        return await self.manifests.find(name) is None

    async def _forget(self, name: str) -> None:
        with suppress(BlobMissingError):
            await self.manifests.delete(name)


class Forking(Sealing):
    """Cuts what it could read, without looking whether the plan is still the one that it began."""

    async def _carry_out(self, plan: Plan, etag: str) -> Sealed | None:
        contents = await asyncio.gather(*(self._read(name) for name in plan.inboxes))
        arrivals, _ = self._parse(plan, contents)
        for manifest in plans.cut(plan, arrivals):
            await self.manifests.replace(f"{SEALED}{manifest.id}.json", to_bytes(manifest))
        return await super()._carry_out(plan, etag)


@pytest.mark.parametrize(
    ("kind", "said"), [(Hasty, "acknowledged and lost"), (Blind, "acknowledged and lost"), (Forking, "two contents")]
)
def test_the_same_search_finds_what_is_wrong_with_other_ways(kind: type[Sealing], said: str) -> None:
    """The protocol's earlier form among them: found by this model, and mended."""
    with pytest.raises(ViolationError, match=said):
        run(lambda stage: two_dispatchers(stage, kind), Budget(switches=2))
