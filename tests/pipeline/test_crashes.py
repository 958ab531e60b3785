"""A process that dies between any two writes, or loses the answer of any, leaves work that the next one ends right."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from pipeline.app import App
from shared.outcome import Result
from tests.fakes.world import CrashError, World

Step = Callable[[App], Awaitable[object]]


async def arrive(world: World, count: int) -> set[tuple[str, str]]:
    """Images land and are brought, by three processes, some of them twice."""
    arrivals = [await world.drop(f"p/{number}.jpg") for number in range(count)]
    for process in range(3):
        await world.app().inbox.add([a for n, a in enumerate(arrivals) if n % 3 != process], deadline=5)
    return {(a.name, a.etag) for a in arrivals}


async def interrupted(world: World, step: Step, *, crash_at: int | None, after: bool, lose_at: int | None) -> int:
    """Runs a step with one fault, then again without; how many writes the faulty run made."""
    world.faults.reset()
    world.faults.crash_at, world.faults.after, world.faults.lose_at = crash_at, after, lose_at
    with contextlib.suppress(CrashError, asyncio.CancelledError):
        await step(world.app())
    writes = world.faults.writes
    world.faults.reset()
    world.later(seconds=30)
    await step(world.app())
    world.later(seconds=30)
    await step(world.app())
    return writes


async def dispatch(app: App) -> object:
    return await app.dispatch()


async def collect(app: App) -> object:
    return await app.collect()


def faults(limit: int) -> list[tuple[int | None, bool, int | None]]:
    """Every write of a run: dead before it, dead after it, its answer lost."""
    points: list[tuple[int | None, bool, int | None]] = []
    for number in range(1, limit + 1):
        points += [(number, False, None), (number, True, None), (None, False, number)]
    return points


@pytest.mark.parametrize(("crash_at", "after", "lose_at"), faults(26))
async def test_dispatch_loses_nothing_and_gives_each_version_one_task(
    crash_at: int | None, after: bool, lose_at: int | None
) -> None:
    """Whatever write a dispatch dies at, each version ends in one open manifest, and each manifest has one task."""
    world = World(manifest_max_images=2)
    versions = await arrive(world, 5)
    await interrupted(world, dispatch, crash_at=crash_at, after=after, lose_at=lose_at)
    held = Counter(entry.key for manifest in world.open_manifests() for entry in manifest.entries)
    assert held == Counter(dict.fromkeys(versions, 1))
    assert world.waiting() == []
    assert world.batch.all_tasks() == sorted(manifest.id for manifest in world.open_manifests())
    assert world.manifests.names("plan/") == []
    noted = [world.manifests.blobs[name].metadata.get("job") for name in world.manifests.names("sealed/")]
    assert noted == ["darkroom-20260102"] * 3


async def test_the_crash_points_of_dispatch_are_all_there() -> None:
    """The number of writes that the cases above go through is the number that a dispatch makes."""
    world = World(manifest_max_images=2)
    await arrive(world, 5)
    world.faults.reset()
    await world.app().dispatch()
    assert 20 <= world.faults.writes <= 26, world.faults.log


@pytest.mark.parametrize(("crash_at", "after", "lose_at"), faults(11))
async def test_collect_forgets_no_entry(crash_at: int | None, after: bool, lose_at: int | None) -> None:
    """Whatever write a collect dies at: the manifest is archived once, bad images quarantined, the rest comes back."""
    world = World(manifest_max_images=10)
    versions = await arrive(world, 6)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    await world.work(manifest, [Result.CONVERTED, Result.CONVERTED, Result.REJECTED, Result.DELETED])
    world.batch.finish(manifest.id, succeeded=False, failure="FailureExitCode: exit 1")
    await interrupted(world, collect, crash_at=crash_at, after=after, lose_at=lose_at)
    assert world.open_manifests() == []
    assert world.manifests.names("archive/") == [f"archive/2026/01/02/{manifest.id}.json"]
    assert world.quarantine.names() == [manifest.entries[2].name]
    back = {(a.name, a.etag): a.attempt for a in world.waiting()}
    assert back == {entry.key: 1 for entry in manifest.entries[4:]}
    assert {entry.key for entry in manifest.entries} == versions


async def test_the_crash_points_of_collect_are_all_there() -> None:
    world = World(manifest_max_images=10)
    await arrive(world, 6)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    await world.work(manifest, [Result.CONVERTED, Result.CONVERTED, Result.REJECTED, Result.DELETED])
    world.batch.finish(manifest.id, succeeded=False)
    world.faults.reset()
    await world.app().collect()
    assert 7 <= world.faults.writes <= 11, world.faults.log


async def test_two_dispatchers_at_once_leave_the_same_manifests_and_tasks() -> None:
    """Both see the same inboxes; one plan wins, and both carry it out."""
    world = World(manifest_max_images=2)
    versions = await arrive(world, 7)
    await asyncio.gather(world.app().dispatch(), world.app().dispatch(), world.app().dispatch())
    await world.app().dispatch()
    held = Counter(entry.key for manifest in world.open_manifests() for entry in manifest.entries)
    assert held == Counter(dict.fromkeys(versions, 1))
    assert world.batch.all_tasks() == sorted(manifest.id for manifest in world.open_manifests())


async def test_two_collectors_at_once_close_a_manifest_once() -> None:
    world = World(manifest_max_images=10)
    await arrive(world, 4)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    await world.work(manifest, [Result.REJECTED, Result.CONVERTED])
    world.batch.finish(manifest.id, succeeded=False)
    await asyncio.gather(world.app().collect(), world.app().collect())
    assert world.open_manifests() == []
    assert len(world.manifests.names("archive/")) == 1
    assert {(a.name, a.attempt) for a in world.waiting()} == {(entry.name, 1) for entry in manifest.entries[2:]}
