"""Collect: what becomes of a manifest whose task has ended, in every way that a task can end."""

from __future__ import annotations

import pytest

from pipeline import summary as summaries
from pipeline.batch import BatchUnavailableError
from pipeline.summary import Summary, archive_name
from shared import quarantine as quarantines
from shared.manifest import Manifest
from shared.outcome import Outcome, Result, to_line
from shared.quarantine import ATTEMPTS_EXHAUSTED
from tests.fakes.world import World, arrival


async def submitted(world: World, count: int, *, attempt: int = 0) -> Manifest:
    """One manifest of so many images, with its task. (Images with failed attempts share one of 20 times the room.)"""
    arrivals = []
    for number in range(count):
        found = await world.drop(f"{number}.jpg")
        arrivals.append(arrival(found.name, found.etag, attempt=attempt))
    await world.app().inbox.add(arrivals, deadline=5)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    return manifest


def archived(world: World, manifest: Manifest) -> Summary:
    name = archive_name(manifest.id)
    return summaries.from_bytes(world.manifests.blobs[name].data, where=name)


async def test_a_manifest_whose_task_runs_stays_open() -> None:
    world = World()
    manifest = await submitted(world, 2)
    await world.work(manifest, [Result.CONVERTED])
    await world.app().collect()
    assert world.open_manifests() == [manifest]


async def test_a_done_manifest_is_archived_with_its_figures() -> None:
    world = World()
    manifest = await submitted(world, 3)
    await world.work(manifest, [Result.CONVERTED, Result.CURRENT, Result.SUPERSEDED])
    world.batch.finish(manifest.id)
    await world.app().collect()
    summary = archived(world, manifest)
    assert (summary.end, summary.images, summary.job) == ("succeeded", 3, "darkroom-20260102")
    assert {k: v for k, v in summary.counts.items() if v} == {"converted": 1, "current": 1, "superseded": 1}
    assert world.open_manifests() == []
    assert world.waiting() == []


async def test_a_failed_task_counts_as_an_attempt_on_what_it_left_undone() -> None:
    world = World()
    manifest = await submitted(world, 3)
    await world.work(manifest, [Result.CONVERTED])
    world.batch.finish(manifest.id, succeeded=False)
    await world.app().collect()
    assert {(a.name, a.attempt, a.via) for a in world.waiting()} == {("1.jpg", 1, "retry"), ("2.jpg", 1, "retry")}


async def test_a_task_that_says_success_and_left_images_undone_counts_as_a_failed_one() -> None:
    """A worker that lies must not be asked for ever."""
    world = World()
    manifest = await submitted(world, 2)
    await world.work(manifest, [Result.CONVERTED])
    world.batch.finish(manifest.id)
    await world.app().collect()
    assert [(a.name, a.attempt) for a in world.waiting()] == [("1.jpg", 1)]


async def test_after_the_last_attempt_an_image_is_quarantined() -> None:
    world = World(max_attempts=3)
    manifest = await submitted(world, 1, attempt=2)
    world.batch.finish(manifest.id, succeeded=False, failure="FailureExitCode: out of memory")
    await world.app().collect()
    assert world.waiting() == []
    blob = world.quarantine.blobs["0.jpg"]
    document = quarantines.from_bytes(blob.data, where="0.jpg")
    assert (document.reason, document.attempts, document.etag) == (ATTEMPTS_EXHAUSTED, 3, manifest.entries[0].etag)
    assert "out of memory" in document.detail
    assert blob.metadata == {"source_etag": document.etag, "reason": ATTEMPTS_EXHAUSTED, "manifest": manifest.id}


@pytest.mark.parametrize("whole_job", [True, False])
async def test_a_task_that_a_person_deleted_counts_against_no_image(whole_job: bool) -> None:
    world = World(max_attempts=100)
    await submitted(world, 2, attempt=1)
    if whole_job:
        await world.batch.delete_job("darkroom-20260102")
    else:
        world.batch.job_table["darkroom-20260102"].tasks.clear()
    await world.app().collect()
    assert world.open_manifests() == []
    assert {(a.name, a.attempt) for a in world.waiting()} == {("0.jpg", 1), ("1.jpg", 1)}


async def test_outcomes_of_several_runs_count_together_and_a_made_png_outweighs() -> None:
    """A task that was preempted ran again: its second run found a PNG of the first there."""
    world = World()
    manifest = await submitted(world, 2)
    await world.work(manifest, [Result.CONVERTED], run="1")
    lines = [
        Outcome(name=entry.name, etag=entry.etag, result=Result.CURRENT, at="2026-01-02T00:00:00+00:00")
        for entry in manifest.entries
    ]
    await world.outcomes.replace(f"{manifest.id}/2.jsonl", b"".join(map(to_line, lines)))
    world.batch.finish(manifest.id)
    await world.app().collect()
    summary = archived(world, manifest)
    assert (summary.counts["converted"], summary.counts["current"], summary.runs) == (1, 1, 2)


async def test_an_outcome_that_was_cut_off_in_mid_line_leaves_its_image_undone() -> None:
    world = World()
    manifest = await submitted(world, 2)
    await world.work(manifest, [Result.CONVERTED, Result.CONVERTED])
    whole = world.outcomes.blobs[f"{manifest.id}/1.jsonl"].data
    await world.outcomes.replace(f"{manifest.id}/1.jsonl", whole[:-20])
    world.batch.finish(manifest.id, succeeded=False)
    await world.app().collect()
    assert [a.name for a in world.waiting()] == [manifest.entries[1].name]


async def test_outcomes_of_another_release_leave_the_manifest_open_and_are_told() -> None:
    """Guessing loses images: it waits for the release that can read them, and the others go on."""
    world = World(manifest_max_images=1)
    for number in range(2):
        found = await world.drop(f"{number}.jpg")
        await world.app().inbox.add([found], deadline=5)
    await world.app().dispatch()
    strange, good = world.open_manifests()
    await world.outcomes.replace(f"{strange.id}/1.jsonl", b'{"kind":"outcome","schema":99}\n')
    await world.work(good)
    for manifest in (strange, good):
        world.batch.finish(manifest.id)
    await world.app().collect()
    assert world.open_manifests() == [strange]
    state = await world.app().journal.state("collect")
    assert state is not None
    assert not state.ok
    assert state.error is not None
    assert "schema version 99" in state.error["message"]


async def test_a_batch_service_that_is_away_closes_nothing_and_is_told() -> None:
    world = World()
    manifest = await submitted(world, 1)

    async def tasks(job: str, *, since: object) -> dict[str, object]:
        raise BatchUnavailableError("Batch did not answer")

    world.batch.tasks = tasks  # type: ignore[method-assign,assignment]
    await world.app().collect()
    assert world.open_manifests() == [manifest]
    state = await world.app().journal.state("collect")
    assert state is not None
    assert state.error == {"code": "BatchUnavailableError", "message": "Batch did not answer"}


async def test_totals_add_up_over_runs() -> None:
    world = World(manifest_max_images=1)
    for number in range(3):
        await world.app().inbox.add([await world.drop(f"{number}.jpg")], deadline=5)
        await world.app().dispatch()
        (manifest,) = world.open_manifests()
        await world.work(manifest)
        world.batch.finish(manifest.id)
        await world.app().collect()
        world.later(minutes=1)
    state = await world.app().journal.state("collect")
    assert state is not None
    assert (state.totals["converted"], state.totals["closed"], state.totals["images"]) == (3, 3, 3)
    lines = await world.app().journal.lines("collect", world.time)
    assert [line.counts.get("converted") for line in lines] == [1.0, 1.0, 1.0]


# --- the quarantine's documents ---


async def test_the_manifests_that_made_pngs_last_are_remembered_for_the_page() -> None:
    world = World()
    manifest = await submitted(world, 1)
    await world.work(manifest, [Result.CONVERTED])
    world.batch.finish(manifest.id)
    await world.app().collect()
    for _ in range(2):  # a run that closes nothing forgets nothing
        await world.app().collect()
        state = await world.app().journal.state("collect")
        assert state is not None
        assert state.memory["last_closed"] == [manifest.id]


async def test_a_newer_quarantined_version_replaces_the_document_of_an_older_one() -> None:
    world = World()
    for _ in range(2):
        manifest = await submitted(world, 1)
        await world.work(manifest, [Result.REJECTED])
        world.batch.finish(manifest.id)
        await world.app().collect()
        world.later(minutes=1)
    present = world.images.blobs["0.jpg"].etag
    assert world.quarantine.blobs["0.jpg"].metadata["source_etag"] == present


async def test_a_late_document_of_an_older_version_does_not_replace_the_present_one() -> None:
    world = World()
    manifest = await submitted(world, 1)
    await world.images.replace("0.jpg", b"new")
    present = world.images.blobs["0.jpg"].etag
    await world.quarantine.replace("0.jpg", b"{}", metadata={"source_etag": present})
    await world.work(manifest, [Result.REJECTED])
    world.batch.finish(manifest.id)
    await world.app().collect()
    assert world.quarantine.blobs["0.jpg"].metadata["source_etag"] == present


async def test_a_document_goes_when_its_image_has_become_a_png() -> None:
    world = World()
    manifest = await submitted(world, 1)
    await world.quarantine.replace("0.jpg", b"{}", metadata={"source_etag": "an older version"})
    await world.quarantine.replace("other.jpg", b"{}", metadata={"source_etag": "x"})
    await world.work(manifest)
    world.batch.finish(manifest.id)
    await world.app().collect()
    assert world.quarantine.names() == ["other.jpg"]


async def test_a_document_of_a_version_that_came_after_the_png_stays() -> None:
    world = World()
    manifest = await submitted(world, 1)
    await world.work(manifest)
    world.batch.finish(manifest.id)
    await world.images.replace("0.jpg", b"bad")
    present = world.images.blobs["0.jpg"].etag
    await world.quarantine.replace("0.jpg", b"{}", metadata={"source_etag": present})
    await world.app().collect()
    assert world.quarantine.names() == ["0.jpg"]
