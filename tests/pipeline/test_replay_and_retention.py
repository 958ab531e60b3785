"""Replay brings quarantined images back; retention deletes what is old, and never what is open."""

from __future__ import annotations

import pytest

from pipeline.replay import Chosen
from tests.fakes.world import World


async def quarantined(world: World) -> None:
    for name, reason in (("a/1.jpg", "truncated"), ("a/2.jpg", "too-large"), ("b/3.jpg", "truncated")):
        found = await world.drop(name)
        await world.quarantine.replace(name, b"{}", metadata={"source_etag": found.etag, "reason": reason})
    await world.quarantine.replace("gone.jpg", b"{}", metadata={"source_etag": "1", "reason": "truncated"})


@pytest.mark.parametrize(
    ("chosen", "back", "gone"),
    [
        (Chosen(), {"a/1.jpg", "a/2.jpg", "b/3.jpg"}, 1),
        (Chosen(prefix="a/"), {"a/1.jpg", "a/2.jpg"}, 0),
        (Chosen(reason="truncated"), {"a/1.jpg", "b/3.jpg"}, 1),
        (Chosen(prefix="a/", reason="truncated"), {"a/1.jpg"}, 0),
        (Chosen(names=("b/3.jpg", "never.jpg")), {"b/3.jpg"}, 0),
    ],
)
async def test_the_chosen_images_come_back_without_their_failed_attempts(
    chosen: Chosen, back: set[str], gone: int
) -> None:
    world = World()
    await quarantined(world)
    done = await world.app().replay.replay(chosen)
    assert {(a.name, a.attempt, a.via) for a in world.waiting()} == {(name, 0, "replay") for name in back}
    assert (done.replayed, done.gone, done.matched) == (len(back), gone, len(back) + gone)


async def test_a_replay_brings_the_version_that_is_there_now() -> None:
    world = World()
    await quarantined(world)
    fixed = await world.drop("a/1.jpg", b"fixed")
    await world.app().replay.replay(Chosen(names=("a/1.jpg",)))
    assert [a.etag for a in world.waiting()] == [fixed.etag]


async def test_a_dry_run_changes_nothing() -> None:
    world = World()
    await quarantined(world)
    before = [world.quarantine.snapshot(), world.manifests.snapshot()]
    replayed = await world.app().replay.replay(Chosen(), dry_run=True)
    dropped = await world.app().replay.drop(Chosen(), dry_run=True)
    assert (replayed.replayed, dropped.dropped) == (3, 4)
    assert [world.quarantine.snapshot(), world.manifests.snapshot()] == before


async def test_dropped_documents_are_gone() -> None:
    world = World()
    await quarantined(world)
    await world.app().replay.drop(Chosen(reason="truncated"))
    assert world.quarantine.names() == ["a/2.jpg"]


async def test_what_is_older_than_the_retention_goes_and_what_is_open_stays() -> None:
    world = World(retention_days=30)
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    await world.manifests.create("archive/2025/12/01/old.json", b"{}")
    await world.outcomes.create("closed/1.jsonl", b"")
    await world.work(manifest)
    world.later(days=31)
    await world.manifests.create("archive/2026/02/01/new.json", b"{}")
    pruned = await world.app().prune()
    assert world.manifests.names("archive/") == ["archive/2026/02/01/new.json"]
    assert world.outcomes.names() == [f"{manifest.id}/1.jsonl"]
    assert world.open_manifests() == [manifest]
    assert (pruned["archive"], pruned["outcomes"]) == (1, 1)


async def test_retention_runs_once_a_day() -> None:
    world = World()
    await world.app().prune()
    await world.manifests.create("archive/2025/12/01/old.json", b"{}")
    world.later(hours=22)
    assert await world.app().prune() == {}
    world.later(hours=2)
    await world.app().prune()
    assert len(await world.app().journal.lines("retention", world.time)) == 1
