"""The story of an image at each place on its way: taken there by the app's own stages, and by the real worker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.darkroom.places import until
from tests.darkroom.system import WORKER, System, manifest_id
from tests.worker.jpegs import jpeg

pytestmark = pytest.mark.azurite
NAME = "été/a b.jpg"


def places(story: dict[str, Any]) -> list[str]:
    return [step["place"] for step in story["steps"]]


def convert(system: System, *, done: int = 1) -> None:
    """Dispatch, and wait until the real worker has ended `done` tasks in all."""
    system.dispatch(WORKER_COMMAND=WORKER)
    system.until_tasks(succeeded=done)


def the_manifest(system: System) -> str:
    (blob,) = [name for name in system.place.names("manifests") if name.startswith("sealed/")]
    return manifest_id(blob)


def test_an_image_from_its_upload_to_its_png(system: System) -> None:
    data = jpeg()
    etag = system.place.put("images", NAME, data)
    assert "its event is on the way" in system.story(NAME)["sentence"]

    system.announce(NAME, etag, len(data))
    story = system.story(NAME)
    assert "waits in an inbox" in story["sentence"]
    assert places(story) == ["image", "inbox"]

    system.batch.order("quotas", activeJobs=0)
    system.dispatch()
    assert f"In manifest {the_manifest(system)}, which has no task yet" in system.story(NAME)["sentence"]

    system.batch.order("quotas", activeJobs=300)
    system.dispatch(WORKER_COMMAND=WORKER)
    story = system.story(NAME)
    assert story["verdict"] == "waiting"
    assert "its task waits for a slot on a node" in story["sentence"]

    system.make_pool(nodes=1)
    system.until_tasks(succeeded=1)
    story = system.story(NAME)
    assert story["verdict"] == "done"
    assert places(story) == ["image", "manifest", "PNG", "outcome"]
    system.collect()
    story = system.story(NAME)
    assert story["verdict"] == "done"
    assert places(story) == ["image", "PNG", "past"]


def test_an_image_whose_task_runs_is_requeued_and_loses_its_job(system: System) -> None:
    system.make_pool(nodes=1)
    system.arrive(NAME)
    system.dispatch(WORKER_COMMAND="sleep 600")
    system.until_tasks(running=1)
    (node,) = [node.id for node in system.client.list_nodes(system.pool)]
    story = system.story(NAME)
    assert story["verdict"] == "working"
    assert f"runs on {node}" in story["sentence"]

    system.batch.order("preempt", poolId=system.pool)
    system.until_tasks(active=1)
    until(lambda: "requeued 1 time(s)" in system.story(NAME)["sentence"])

    job = system.job
    system.client.begin_delete_job(job, polling_interval=0).result()
    until(lambda: f"is not in job {job} (any more)" in system.story(NAME)["sentence"])
    system.collect()
    assert "waits in an inbox" in system.story(NAME)["sentence"]


def test_an_image_whose_tasks_fail_is_tried_again_and_ends_in_quarantine(system: System) -> None:
    system.make_pool(nodes=1)
    system.arrive(NAME)
    system.dispatch(WORKER_COMMAND="/bin/sh -c 'exit 7'")
    system.until_tasks(failed=1)
    story = system.story(NAME)
    assert "ended without doing it: FailureExitCode" in story["sentence"]
    assert f"darkroom logs {the_manifest(system)}" in story["advice"]

    system.collect()
    story = system.story(NAME)
    assert "waits in an inbox" in story["sentence"]
    assert any("after 1 failed task(s)" in step["what"] for step in story["steps"])

    system.dispatch(WORKER_COMMAND="/bin/sh -c 'exit 7'")
    system.until_tasks(failed=2)
    assert any("attempt 2" in step["what"] for step in system.story(NAME)["steps"])
    system.collect(MAX_ATTEMPTS="2")
    story = system.story(NAME)
    assert story["verdict"] == "quarantined"
    assert any("2 attempt(s)" in step["what"] for step in story["steps"])


def test_an_image_that_is_no_jpeg_and_its_better_version(system: System) -> None:
    system.make_pool(nodes=1)
    system.arrive(NAME, b"no JPEG at all")
    convert(system)
    story = system.story(NAME)
    assert story["verdict"] == "working"
    assert "The worker is done with it (rejected); collect has not closed" in story["sentence"]
    system.collect()
    story = system.story(NAME)
    assert story["verdict"] == "quarantined"
    assert "In quarantine: not-a-jpeg" in story["sentence"]
    assert places(story) == ["image", "past", "quarantine"]

    system.arrive(NAME)
    assert "waits in an inbox" in system.story(NAME)["sentence"]
    convert(system, done=2)
    system.collect()
    assert system.story(NAME)["verdict"] == "done"


def test_an_image_that_is_replaced_while_its_older_version_is_on_its_way(system: System) -> None:
    """What is told is the way of the version that is there."""
    system.arrive(NAME)
    system.dispatch(WORKER_COMMAND=WORKER)
    old = the_manifest(system)
    newer = jpeg(size=(31, 17))
    etag = system.place.put("images", NAME, newer)
    story = system.story(NAME)
    assert story["verdict"] == "waiting"
    assert f"Manifest {old} holds an older version" in story["sentence"]

    system.announce(NAME, etag, len(newer))
    assert "waits in an inbox" in system.story(NAME)["sentence"]

    system.make_pool(nodes=1)
    system.until_tasks(succeeded=1)
    assert any("superseded" in step["what"] for step in system.story(NAME)["steps"])
    system.collect()
    convert(system, done=2)
    system.collect()
    assert system.story(NAME)["verdict"] == "done"


def test_an_image_that_no_event_brought_and_one_of_an_older_png(system: System) -> None:
    """Unknown once its event has had its time, until a sweep finds it."""
    system.place.put("images", NAME)
    until(lambda: system.story(NAME, "--patience", "0")["verdict"] == "unknown")
    story = system.story(NAME, "--patience", "0")
    assert "Nothing knows of it" in story["sentence"]
    assert "darkroom sweep" in story["advice"]
    system.sweep()
    assert "Arrived (by sweep)" in system.story(NAME)["sentence"]

    system.make_pool(nodes=1)
    convert(system)
    system.collect()
    system.arrive("other.jpg")
    convert(system, done=2)
    system.collect()
    system.place.put("images", "other.jpg", jpeg(size=(31, 17)))
    until(lambda: system.story("other.jpg", "--patience", "0")["verdict"] == "unknown")
    assert "made from an older version" in system.story("other.jpg", "--patience", "0")["sentence"]


def test_an_image_that_is_deleted_before_and_after_its_png(system: System) -> None:
    images = system.place.service.get_container_client(system.place.environ["IMAGES_CONTAINER"])
    system.arrive("early.jpg")
    system.dispatch(WORKER_COMMAND=WORKER)
    images.delete_blob("early.jpg")
    assert "There is no such image" in system.story("early.jpg")["sentence"]
    system.make_pool(nodes=1)
    system.until_tasks(succeeded=1)
    assert any("deleted" in step["what"] for step in system.story("early.jpg")["steps"])
    system.collect()

    system.arrive("late.jpg")
    convert(system, done=2)
    system.collect()
    images.delete_blob("late.jpg")
    story = system.story("late.jpg")
    assert story["verdict"] == "gone"
    assert "late.png is there: an orphan" in story["sentence"]


def test_an_image_whose_png_name_another_image_has(system: System) -> None:
    system.make_pool(nodes=1)
    system.arrive("a.jpg")
    convert(system)
    system.collect()
    system.place.put("images", "a.jpeg", data := jpeg())
    story = system.story("a.jpeg")
    assert "a.png was made from another image" in story["sentence"]
    assert "NAMING=append" in story["advice"]
    system.arrive("a.jpeg", data)
    convert(system, done=2)
    system.collect()
    assert "In quarantine: name-conflict" in system.story("a.jpeg")["sentence"]
    assert system.story("a.jpg")["verdict"] == "done"


def test_what_is_no_image_and_what_is_not_there(system: System) -> None:
    system.place.put("images", "notes.txt")
    assert system.story("notes.txt")["verdict"] == "not-an-image"
    assert system.story("nowhere.jpg")["verdict"] == "gone"
