"""State survives the death of the service; processes do not."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.batch import BatchClient

from tests.localcloud.batch.conftest import (
    LocalBatch,
    finished_task,
    make_job,
    make_pool,
    start_service,
    task,
    wait_for,
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[LocalBatch]]:
    """Services started here are stopped in the end."""
    started: list[LocalBatch] = []
    yield started
    for local in started:
        local.stop()


def begin(running: list[LocalBatch], data: Path, *options: str) -> LocalBatch:
    local = start_service(data, *options)
    running.append(local)
    return local


def completed(client: BatchClient, job_id: str) -> int:
    return client.get_job_task_counts(job_id).task_counts.completed


def test_kill_9_in_the_middle_of_200_tasks_ends_with_all_200_done(running: list[LocalBatch], tmp_path: Path) -> None:
    data, ran = tmp_path / "data", tmp_path / "ran"
    ran.mkdir()
    first = begin(running, data)
    with first.client() as client:
        make_pool(client, "p", task_slots_per_node=4)
        make_job(client, "j", "p")
        lines = [task(f"t{n:03}", f"/bin/sh -c 'sleep 0.02; echo {n} >> {ran}/{n}'") for n in range(200)]
        client.create_tasks("j", lines)
        wait_for(lambda: completed(client, "j") >= 40, what="40 tasks")
    first.kill()
    second = begin(running, data)
    with second.client() as client:
        wait_for(lambda: completed(client, "j") == 200, seconds=60, what="200 tasks")
        tasks = list(client.list_tasks("j"))
    requeued = {t.id for t in tasks if t.execution_info is not None and t.execution_info.requeue_count}
    assert len(tasks) == 200
    assert all(t.execution_info is not None and t.execution_info.exit_code == 0 for t in tasks)
    assert len(requeued) <= 40  # what the slots held, and what had ended in the last moment before the kill
    twice = {f"t{int(f.name):03}" for f in ran.iterdir() if len(f.read_text().split()) > 1}
    assert {int(f.name) for f in ran.iterdir()} == set(range(200))
    assert twice <= requeued  # only what was running may have run again


def test_kill_9_leaves_no_process_behind(running: list[LocalBatch], tmp_path: Path) -> None:
    mark = f"31{os.getpid() % 100000:05}.5"
    local = begin(running, tmp_path / "data")
    with local.client() as client:
        make_pool(client, "p", task_slots_per_node=4)
        make_job(client, "j", "p")
        client.create_task("j", task("plain", f"sleep {mark}"))
        client.create_task("j", task("child", f"/bin/sh -c 'sleep {mark} & sleep {mark}'"))
        client.create_task("j", task("escaped", f"/bin/sh -c 'setsid sleep {mark} & sleep {mark}'"))
        wait_for(lambda: len(sleeping(mark)) == 5, what="all five processes")
    local.kill()
    wait_for(lambda: not sleeping(mark), what="the end of all processes")


def sleeping(mark: str) -> list[str]:
    """Processes `sleep MARK` of this machine."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if line.split(None, 1)[1:] == [f"sleep {mark}"]]


def test_everything_that_was_acknowledged_is_there_after_kill_9(running: list[LocalBatch], tmp_path: Path) -> None:
    first = begin(running, tmp_path / "data")
    with first.client() as client:
        make_pool(client, "p", task_slots_per_node=2, metadata=[{"name": "who", "value": "me"}])
        make_job(client, "j", "p", priority=7, uses_task_dependencies=True)
        client.create_task("j", task("done", "true"))
        finished_task(client, "j", "done")
        client.create_task("j", task("long", "sleep 300"))
        wait_for(lambda: client.get_task("j", "long").state == "running" or None, what="the long task")
        client.create_task("j", task("after", "true", depends_on={"taskIds": ["long"]}))
        client.terminate_task("j", "long")
        before = client.get_task("j", "done")
    first.kill()
    second = begin(running, tmp_path / "data")
    assert second.key == first.key
    with second.client() as client:
        pool = client.get_pool("p")
        assert pool.metadata is not None
        assert pool.metadata[0].value == "me"
        assert client.get_job("j").priority == 7
        again = client.get_task("j", "done")
        assert again.as_dict()["executionInfo"] == before.as_dict()["executionInfo"]
        ended = finished_task(client, "j", "long")  # its end was acknowledged: it does not run again
        assert ended.execution_info is not None
        assert ended.execution_info.failure_info is not None
        assert ended.execution_info.failure_info.code == "TaskEnded"
        assert client.get_task("j", "after").state == "active"


def test_when_a_keeper_dies_its_tasks_end_and_run_again(running: list[LocalBatch], tmp_path: Path) -> None:
    mark = f"33{os.getpid() % 100000:05}.5"
    local = begin(running, tmp_path / "data")
    with local.client() as client:
        make_pool(client, "p")
        make_job(client, "j", "p")
        client.create_task("j", task("t", f"/bin/sh -c 'test -e once && exit 0; touch once; sleep {mark}'"))
        wait_for(lambda: sleeping(mark), what="the task")
        (keeper,) = psutil.Process(local.process.pid).children()
        wait_for(lambda: "once" in {f.name for f in tmp_path.rglob("once")}, what="its first mark")
        time.sleep(0.2)  # the service hears of a process that runs longer than a moment; there is no way to see that
        keeper.kill()
        done = finished_task(client, "j", "t")
    assert done.execution_info is not None
    assert (done.execution_info.exit_code, done.execution_info.requeue_count) == (0, 1)
    assert not sleeping(mark)


def test_two_services_cannot_use_one_directory(running: list[LocalBatch], tmp_path: Path) -> None:
    begin(running, tmp_path / "data")
    with pytest.raises(RuntimeError, match="did not start"):
        begin(running, tmp_path / "data")


def test_a_service_that_is_told_to_stop_ends_its_tasks_at_once(running: list[LocalBatch], tmp_path: Path) -> None:
    mark = f"32{os.getpid() % 100000:05}.5"
    local = begin(running, tmp_path / "data")
    with local.client() as client:
        make_pool(client, "p")
        make_job(client, "j", "p")
        client.create_task("j", task("stubborn", f"/bin/sh -c \"trap '' TERM; sleep {mark}\""))
        wait_for(lambda: sleeping(mark), what="the task")
    local.stop()
    assert local.process.returncode == 0
    assert not sleeping(mark)
