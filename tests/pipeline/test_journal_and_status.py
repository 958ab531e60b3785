"""What runs leave behind, and what status makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import ServiceClock
from pipeline.journal import Journal
from pipeline.storage import StorageUnavailableError
from tests.fakes.storage import FakeContainer
from tests.fakes.world import World


async def test_a_run_that_fails_is_told_with_its_error_and_raises_on() -> None:
    journal = Journal(container=FakeContainer("manifests"))

    async def fail() -> None:
        async with journal.run("collect") as run:
            run.seen["open"] = 3
            raise StorageUnavailableError("503 ServerBusy")

    with pytest.raises(StorageUnavailableError):
        await fail()
    state = await journal.state("collect")
    assert state is not None
    assert (state.ok, state.seen) == (False, {"open": 3})
    assert state.error == {"code": "StorageUnavailableError", "message": "503 ServerBusy"}


async def test_totals_and_memory_outlive_a_run() -> None:
    journal = Journal(container=FakeContainer("manifests"))
    for _ in range(2):
        async with journal.run("x", total=frozenset({"done"})) as run:
            run.counts["done"] += 2
            run.counts["other"] += 1
            run.memory["n"] = run.memory.get("n", 0) + 1
    state = await journal.state("x")
    assert state is not None
    assert (state.totals, state.memory) == ({"done": 4}, {"n": 2})


async def test_a_state_that_cannot_be_read_counts_as_none() -> None:
    container = FakeContainer("manifests")
    await container.create("state/x.json", b'{"kind":"state","schema":99}')
    assert await Journal(container=container).state("x") is None


async def test_a_journal_that_cannot_be_written_does_not_fail_the_run() -> None:
    async def refuse(label: str, operation: object) -> object:
        raise StorageUnavailableError(label)

    journal = Journal(container=FakeContainer("manifests", gate=refuse))  # type: ignore[arg-type]
    async with journal.run("x") as run:
        run.seen["work"] = "done"


async def test_the_tail_of_a_journal_is_read_without_the_line_that_is_cut() -> None:
    journal = Journal(container=FakeContainer("manifests"))
    for _ in range(10):
        async with journal.run("x") as run:
            run.gauges["g"] = 1.5
    assert len(await journal.lines("x", datetime.now(UTC))) == 10
    few = await journal.lines("x", datetime.now(UTC), last=500)
    assert 0 < len(few) < 10
    assert {line.counts["g"] for line in few} == {1.5}


async def test_status_counts_what_waits_and_what_is_open_without_a_look_at_the_images() -> None:
    world = World(manifest_max_images=2)
    for number in range(3):
        await world.app().inbox.add([await world.drop(f"{number}.jpg")], deadline=5)
    await world.app().dispatch()
    world.later(seconds=30)
    await world.app().inbox.add([await world.drop("later.jpg")], deadline=5)
    world.later(seconds=12)
    before = [container.operations for container in (world.images, world.converted)]
    status = await world.app().status()
    assert (status.open_manifests, status.open_images, status.unsubmitted) == (2, 3, 0)
    assert (status.inboxes, status.waiting, status.oldest_waiting_seconds) == (1, 1, 12.0)
    assert status.rates["arrived_per_minute"] == 0.3
    assert [container.operations for container in (world.images, world.converted)] == before
    assert status.as_json()["manifests"][0]["job"] == "darkroom-20260102"


async def test_status_of_a_system_that_never_ran_is_empty_and_whole() -> None:
    status = await World().app().status()
    assert (status.open_manifests, status.waiting, status.quarantined, status.troubles) == (0, 0, 0, ())


def test_a_clock_that_is_wrong_is_put_right_by_the_service_and_one_that_is_right_is_left_alone() -> None:
    clock = ServiceClock()
    clock.observe(datetime.now(UTC) + timedelta(hours=3))
    assert abs(clock.now() - datetime.now(UTC) - timedelta(hours=3)) < timedelta(seconds=5)
    clock.observe(datetime.now(UTC) - timedelta(seconds=1))
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
