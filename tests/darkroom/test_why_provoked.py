"""Why work that is there is not done: storage, Batch, the pool, its nodes and tasks, each fault provoked for real.

The work is the app's own: images whose events it took, manifests that its dispatch made, and their tasks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from azure.batch import models as m

from darkroom.why.finding import Code
from pipeline.scaling import build_formula
from shared.app_settings import PoolSettings
from tests.darkroom.places import running_batch, until
from tests.darkroom.system import System

pytestmark = pytest.mark.azurite
SETTINGS = PoolSettings(evaluation_interval=1440)
"""As `System.environ` has them."""


@pytest.mark.provokes(Code.NOTHING_WAITS, Code.HOST_UNKNOWN)
def test_when_nothing_is_wrong_nothing_blocks(system: System) -> None:
    system.make_pool(formula=build_formula(SETTINGS))
    assert set(system.why()) == {"nothing-waits", "host-unknown"}


# --- storage and Batch ---


@pytest.mark.provokes(Code.STORAGE_AWAY)
def test_storage_that_does_not_answer(system: System) -> None:
    away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a;"
    assert system.why(STORAGE_CONNECTION_STRING=away)["storage-away"]["weight"] == "blocked"


@pytest.mark.provokes(Code.CONTAINER_MISSING)
def test_a_container_that_is_missing(system: System) -> None:
    found = system.why(QUARANTINE_CONTAINER="no-such-container")["container-missing"]
    assert "no-such-container" in found["what"]


@pytest.mark.provokes(Code.STORAGE_KEY_REFUSED)
def test_a_storage_key_that_is_refused_is_told_once_and_not_as_a_fault_of_batch(system: System) -> None:
    wrong = system.place.environ["STORAGE_CONNECTION_STRING"].replace("AccountKey=Eby8", "AccountKey=Aby8")
    ran = system.cli("why", "--json", environ=system.environ() | {"STORAGE_CONNECTION_STRING": wrong})
    findings = json.loads(ran.out)["findings"]
    assert [found["weight"] for found in findings if found["code"] == "storage-key-refused"] == ["blocked"]
    assert not [found for found in findings if found["code"] in {"permission-denied", "batch-away"}]
    assert "storage-key-refused" in system.why(STORAGE_CONNECTION_STRING=wrong)


@pytest.mark.provokes(Code.PERMISSION_DENIED)
def test_a_batch_key_that_is_refused(system: System) -> None:
    found = system.why(BATCH_KEY="d3Jvbmc=")["permission-denied"]
    assert "BATCH_KEY" in found["advice"]


@pytest.mark.provokes(Code.BATCH_AWAY)
def test_a_batch_account_that_does_not_answer(system: System) -> None:
    assert system.why(BATCH_ENDPOINT="http://127.0.0.1:9")["batch-away"]["weight"] == "blocked"


# --- the pool ---


@pytest.mark.provokes(Code.POOL_MISSING)
def test_a_pool_that_is_missing(system: System) -> None:
    assert system.why()["pool-missing"]["weight"] == "blocked"


@pytest.mark.provokes(Code.FORMULA_ERROR)
def test_a_formula_that_fails(system: System) -> None:
    system.make_pool(formula="$TargetLowPriorityNodes = 1 / 0;")
    until(lambda: system.client.get_pool(system.pool).auto_scale_run is not None)
    found = system.why()["formula-error"]
    assert found["weight"] == "blocked"
    assert any("AutoScalingFormulaEvaluationError" in line for line in found["evidence"])


@pytest.mark.provokes(Code.FORMULA_STALE)
def test_a_formula_that_is_not_the_settings_own_until_dispatch_has_seen_it(system: System) -> None:
    system.make_pool(formula="$TargetLowPriorityNodes = 0;")
    assert "formula-stale" in system.why()

    def in_step() -> bool:  # Batch takes a formula every thirty seconds of its time
        system.dispatch()
        return "formula-stale" not in system.why()

    until(in_step)


@pytest.mark.provokes(Code.FORMULA_OFF)
def test_a_pool_held_by_hand_with_work_waiting(system: System) -> None:
    system.make_pool(nodes=0)
    system.give_work("true")
    assert system.why()["formula-off"]["weight"] == "blocked"


@pytest.mark.provokes(Code.QUOTA)
def test_a_quota_of_cores(system: System) -> None:
    system.batch.order("quotas", lowPriorityCores=0)
    system.make_pool(nodes=2)
    until(lambda: bool(system.client.get_pool(system.pool).resize_errors))
    assert system.why()["quota"]["weight"] == "blocked"


@pytest.mark.provokes(Code.RESIZE_ERROR)
def test_nodes_that_azure_cannot_give(system: System) -> None:
    system.batch.order("failallocations", poolId=system.pool)
    system.make_pool(nodes=2)
    until(lambda: bool(system.client.get_pool(system.pool).resize_errors))
    assert any("AllocationFailed" in line for line in system.why()["resize-error"]["evidence"])


@contextmanager
def without_nodes(system: System, data: Path, *, speed: float) -> Iterator[System]:
    """The same system on a Batch service whose nodes do not come for a year."""
    with running_batch(data, speed=speed) as batch, batch.client() as client:
        batch.order("nodetimes", bootSeconds=100_000_000)
        made = replace(system, batch=batch, client=client)
        made.make_pool(formula="$TargetLowPriorityNodes = 1;")
        until(lambda: client.get_pool(made.pool).allocation_state == "resizing")
        yield made


@pytest.mark.provokes(Code.RESIZE_STUCK)
def test_a_resize_that_takes_more_than_twenty_minutes_of_the_services_time(system: System, tmp_path: Path) -> None:
    """An hour of it is a second here."""
    found: dict[str, str] = {}

    def stuck(waiting: System) -> bool:
        found.update(waiting.why().get("resize-stuck", {}))
        return bool(found)

    with without_nodes(system, tmp_path, speed=3600) as waiting:
        until(lambda: stuck(waiting))
    assert found["weight"] == "blocked"


def test_a_resize_that_takes_less_is_not_stuck(system: System, tmp_path: Path) -> None:
    with without_nodes(system, tmp_path, speed=1) as waiting:
        assert "resize-stuck" not in waiting.why()
        assert waiting.client.get_pool(waiting.pool).allocation_state == "resizing"


# --- its nodes ---


@pytest.mark.provokes(Code.START_TASK_FAILED)
def test_a_start_task_that_fails_shows_the_last_lines_of_its_stderr(system: System) -> None:
    system.make_pool(nodes=1, start_task="/bin/sh -c 'echo no such wheel >&2; exit 3'")
    until(lambda: system.nodes_in("starttaskfailed", "start_task_failed") == 1)
    found = system.why()["start-task-failed"]
    assert found["weight"] == "blocked"
    assert "no such wheel" in found["evidence"]


@pytest.mark.provokes(Code.NODES_UNUSABLE)
def test_a_node_that_batch_has_lost_hold_of_shows_its_error(system: System) -> None:
    system.make_pool(nodes=1)
    until(lambda: system.nodes_in("idle") == 1)
    system.batch.order("unusablenodes", poolId=system.pool, code="NodeNotReady", message="no answer from the node")
    found = system.why()["nodes-unusable"]
    assert "NodeNotReady: no answer from the node" in found["evidence"]


@pytest.mark.provokes(Code.NODES_OFFLINE)
def test_nodes_taken_out_of_scheduling(system: System) -> None:
    system.make_pool(nodes=1)
    until(lambda: system.nodes_in("idle") == 1)
    node = next(iter(system.client.list_nodes(system.pool)))
    options = m.BatchNodeDisableSchedulingOptions(
        node_disable_scheduling_option=m.BatchNodeDisableSchedulingOption.REQUEUE
    )
    system.client.disable_node_scheduling(system.pool, node.id or "", options)
    until(lambda: system.nodes_in("offline") == 1)
    assert f"--node-id {node.id}" in system.why()["nodes-offline"]["advice"]


@pytest.mark.provokes(Code.NODES_STARTING)
def test_nodes_that_are_starting(system: System) -> None:
    system.batch.order("slowboots", poolId=system.pool, seconds=100_000)
    system.make_pool(nodes=1)
    until(lambda: len(list(system.client.list_nodes(system.pool))) == 1)
    system.give_work("true")
    assert "nodes-starting" in system.why()


@pytest.mark.provokes(Code.NO_NODES)
def test_a_pool_without_a_node_yet(system: System) -> None:
    """The formula was evaluated before there was work, and comes to it at its next evaluation."""
    system.make_pool(formula=build_formula(SETTINGS))
    system.give_work("true")
    assert "evaluat" in system.why()["no-nodes"]["evidence"][0]


@pytest.mark.provokes(Code.PREEMPTED)
def test_nodes_that_were_preempted(system: System) -> None:
    system.make_pool(nodes=1)
    system.give_work("sleep 600")
    system.until_tasks(running=1)
    system.batch.order("preempt", poolId=system.pool)
    assert system.why()["preempted"]["weight"] == "blocked"


# --- its tasks ---


@pytest.mark.provokes(Code.NO_SLOTS)
def test_all_slots_taken(system: System) -> None:
    system.make_pool(nodes=1)
    system.give_work("sleep 600", "true", "true")
    system.until_tasks(running=1, active=2)
    assert "2 task(s) wait" in system.why()["no-slots"]["what"]


@pytest.mark.provokes(Code.JOB_DISABLED)
def test_a_job_that_somebody_disabled(system: System) -> None:
    system.make_pool(nodes=0)
    system.give_work("true")
    system.client.begin_disable_job(
        system.job, m.BatchJobDisableOptions(disable_tasks=m.DisableBatchJobOption.REQUEUE), polling_interval=0
    ).result()
    found = system.why()["job-disabled"]
    assert found["weight"] == "blocked"
    assert system.job in found["advice"]


@pytest.mark.provokes(Code.TASKS_FAIL)
def test_tasks_that_fail_show_what_they_printed(system: System) -> None:
    system.make_pool(nodes=1)
    system.give_work("/bin/sh -c 'echo storage away >&2; exit 1'")
    system.until_tasks(failed=1)
    assert "storage away" in system.why()["tasks-fail"]["evidence"]
