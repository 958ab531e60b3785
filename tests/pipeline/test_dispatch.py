"""Dispatch: jobs, tasks, quotas, and parts that fail without holding up the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.batch import BatchUnavailableError, JobView, QuotaReachedError
from pipeline.jobs import job_day, job_names, to_delete, to_end
from pipeline.plan import Plan, cut
from shared.naming import Naming
from tests.fakes.world import World, arrival

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


async def test_a_manifest_names_its_job_and_its_task_gets_the_manifest_by_environment() -> None:
    world = World()
    await world.app().inbox.add([await world.drop("a b'; rm -rf $HOME.jpg")], deadline=5)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    job = world.batch.job_table["darkroom-20260102"]
    assert job.specs[manifest.id].environment == {"DARKROOM_MANIFEST": f"sealed/{manifest.id}.json"}
    assert manifest.id.startswith("20260102T120000-")


async def test_a_task_that_was_added_before_midnight_and_not_noted_is_found_again_after_it() -> None:
    world = World()
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.app().dispatch()
    (name,) = world.manifests.names("sealed/")
    blob = world.manifests.blobs[name]
    world.manifests.blobs[name] = replace(blob, metadata={"images": "1"})
    world.later(hours=13)
    await world.app().dispatch()
    assert len(world.batch.all_tasks()) == 1
    assert world.manifests.blobs[name].metadata["job"] == "darkroom-20260102"


async def test_a_job_that_a_person_ended_is_followed_by_a_second_one_of_the_day() -> None:
    world = World()
    await world.batch.create_job("darkroom-20260102")
    await world.batch.end_job("darkroom-20260102")
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.app().dispatch()
    (name,) = world.manifests.names("sealed/")
    assert world.manifests.blobs[name].metadata["job"] == "darkroom-20260102-2"


async def test_a_quota_is_told_and_the_manifest_waits_for_the_next_run() -> None:
    world = World()
    create, full = world.batch.create_job, True

    async def create_job(job: str) -> None:
        if full:
            raise QuotaReachedError("no more active jobs", code="ActiveJobAndScheduleQuotaReached")
        await create(job)

    world.batch.create_job = create_job  # type: ignore[method-assign]
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.app().dispatch()
    status = await world.app().status()
    assert (status.unsubmitted, status.open_images) == (1, 1)
    assert "ActiveJobAndScheduleQuotaReached" in {trouble["code"] for trouble in status.troubles}
    full = False
    await world.app().dispatch()
    status = await world.app().status()
    assert (status.unsubmitted, status.troubles) == (0, ())


async def test_tasks_that_batch_refuses_now_come_again() -> None:
    world = World(manifest_max_images=1)
    await world.app().inbox.add([await world.drop("a.jpg"), await world.drop("b.jpg")], deadline=5)
    await world.app().dispatch()
    first, second = sorted(world.batch.all_tasks())
    world = World(manifest_max_images=1)
    world.batch.refuse = {second: "ServerBusy"}
    await world.app().inbox.add([await world.drop("a.jpg"), await world.drop("b.jpg")], deadline=5)
    await world.app().dispatch()
    assert world.batch.all_tasks() == [first]
    world.batch.refuse = {}
    await world.app().dispatch()
    assert sorted(world.batch.all_tasks()) == [first, second]


async def test_a_pool_that_cannot_be_looked_at_stops_neither_sealing_nor_tasks() -> None:
    world = World()

    async def away() -> None:
        raise BatchUnavailableError("Batch did not answer")

    world.batch.pool = away  # type: ignore[method-assign]
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.app().dispatch()
    assert len(world.batch.all_tasks()) == 1
    state = await world.app().journal.state("dispatch")
    assert state is not None
    assert not state.ok


async def test_a_missing_pool_is_told_and_made_only_where_settings_say_so() -> None:
    world = World()
    world.batch.found = None
    await world.app().dispatch()
    assert await world.batch.pool() is None
    assert "pool-missing" in {trouble["code"] for trouble in (await world.app().status()).troubles}
    world.settings = replace(world.settings, batch=replace(world.settings.batch, pool_create=True))
    await world.app().dispatch()
    assert await world.batch.pool() is not None
    assert (await world.app().status()).pool["exists"]


async def test_an_inbox_that_this_release_cannot_read_is_moved_aside_and_told_and_the_rest_goes_on() -> None:
    world = World()
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.manifests.create_append("inbox/other/000001.jsonl")
    await world.manifests.append("inbox/other/000001.jsonl", b'{"kind":"arrival","schema":2}\n')
    await world.app().dispatch()
    assert [entry.name for manifest in world.open_manifests() for entry in manifest.entries] == ["a.jpg"]
    assert world.manifests.names("refused/") == ["refused/other/000001.jsonl"]
    assert "inbox-refused" in {trouble["code"] for trouble in (await world.app().status()).troubles}


async def test_young_arrivals_wait_for_others_and_never_longer_than_the_setting_says() -> None:
    world = World(manifest_max_age=60.0)
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    world.later(seconds=59)
    await world.app().dispatch()
    assert world.open_manifests() == []
    world.later(seconds=1)
    await world.app().dispatch()
    assert len(world.open_manifests()) == 1


async def test_old_jobs_are_ended_when_their_work_is_done_and_deleted_when_they_are_old() -> None:
    world = World(retention_days=30)
    await world.batch.create_job("darkroom-20260102")
    world.later(days=1)
    await world.app().dispatch()
    assert world.batch.job_table["darkroom-20260102"].view.state == "completed"
    world.later(days=31)
    await world.app().dispatch()
    assert world.batch.job_table == {}


def view(job: str, state: str = "active") -> JobView:
    return JobView(id=job, state=state, created=NOON)


def test_a_job_with_open_work_or_of_today_or_of_another_pool_is_not_ended() -> None:
    jobs = [view(name) for name in ("p-20260101", "p-20260102", "p-20251231", "p-20251230", "p2-20251231", "mine")]
    ended = to_end(jobs, pool_id="p", open_jobs={"p-20251231"}, open_days={"20251230"}, now=NOON)
    assert ended == ["p-20260101"]


def test_only_completed_jobs_beyond_the_retention_are_deleted() -> None:
    jobs = [
        view("p-20251001", "completed"),
        view("p-20251001-2"),
        view("p-20260101", "completed"),
        view("x", "completed"),
    ]
    assert to_delete(jobs, pool_id="p", retention=timedelta(days=30), now=NOON) == ["p-20251001"]


def test_job_names_begin_with_the_manifests_own_day() -> None:
    names = list(job_names("p", "20260101T235959-1-0000", NOON))
    assert names[:3] == ["p-20260101", "p-20260102", "p-20260102-2"]
    assert [job_day("P", name) for name in names[:3]] == ["20260101", "20260102", "20260102"]


def test_images_whose_task_failed_share_with_few_and_on_their_last_attempt_with_none() -> None:
    """One that takes its worker down with it must not take its neighbours to quarantine."""
    plan = Plan(
        id="20260102T000000-1",
        created="",
        naming=Naming.REPLACE,
        max_images=40,
        max_bytes=10**9,
        max_attempts=3,
        inboxes=(),
    )
    arrivals = [arrival(f"{attempt}-{n}.jpg", "1", attempt=attempt) for attempt in (0, 1, 2) for n in range(4)]
    sizes = [[*sorted({entry.attempt for entry in m.entries}), len(m.entries)] for m in cut(plan, arrivals)]
    assert sizes == [[0, 4], [1, 2], [1, 2], [2, 1], [2, 1], [2, 1], [2, 1]]
