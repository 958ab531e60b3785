"""Each reason why nothing happens, provoked for real: Azurite, the local Batch service, a host that is not there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.batch import BatchClient
from azure.batch import models as m

from darkroom.failure import ExitCode
from darkroom.pool.view import PoolView
from darkroom.why.pool import Pending, judge_pool
from darkroom.why.work import Work, judge_work
from pipeline.scaling import build_formula
from shared.app_settings import PipelineSettings, PoolSettings
from tests.darkroom.conftest import Cli, LocalBatch, Place, until

pytestmark = pytest.mark.azurite


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Storage, a Batch account, a pool id of the test's own, and the command line over them."""

    place: Place
    batch: LocalBatch
    client: BatchClient
    pool: str
    cli: Cli

    @property
    def job(self) -> str:
        return f"{self.pool}-20261121"

    def why(self, **environ: str) -> dict[str, dict[str, Any]]:
        """The findings of `darkroom why` by code."""
        ran = self.cli("why", "--json", environ=self.environ() | environ)
        assert ran.code in (ExitCode.OK, ExitCode.NOT_OK), ran.err
        told = json.loads(ran.out)
        assert (ran.code == ExitCode.NOT_OK) == told["blocked"]
        return {finding["code"]: finding for finding in told["findings"]}

    def environ(self) -> dict[str, str]:
        return self.place.environ | self.batch.environ | {"BATCH_POOL_ID": self.pool}

    def make_pool(self, *, nodes: int = 0, formula: str = "", start_task: str = "") -> None:
        """A pool of a fixed size, or with a formula."""
        image = m.BatchVmImageReference(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2204", version="latest")
        sizes: dict[str, Any] = (
            {"enable_auto_scale": True, "auto_scale_formula": formula}
            if formula
            else {"target_low_priority_nodes": nodes}
        )
        self.client.create_pool(
            m.BatchPoolCreateOptions(
                id=self.pool,
                vm_size="standard_d2ads_v5",
                virtual_machine_configuration=m.VirtualMachineConfiguration(
                    image_reference=image, node_agent_sku_id="batch.node.ubuntu 22.04"
                ),
                start_task=m.BatchStartTask(command_line=start_task, wait_for_success=True) if start_task else None,
                **sizes,
            )
        )

    def nodes_in(self, state: str) -> int:
        return sum(1 for node in self.client.list_nodes(self.pool) if str(node.state).lower().endswith(state))

    def give_work(self, *commands: str) -> list[str]:
        """A job with a task each, and the open manifests that they stand for."""
        self.client.create_job(m.BatchJobCreateOptions(id=self.job, pool_info=m.BatchPoolInfo(pool_id=self.pool)))
        ids = []
        for number, command in enumerate(commands):
            task = f"m{number}"
            self.client.create_task(
                self.job,
                m.BatchTaskCreateOptions(
                    id=task, command_line=command, constraints=m.BatchTaskConstraints(max_task_retry_count=0)
                ),
            )
            self.place.put("manifests", f"sealed/{task}.json", b"{}", images="1", job=self.job)
            ids.append(task)
        return ids

    def put_state(
        self, stage: str, *, minutes_ago: float = 0, error: dict[str, str] | None = None, **seen: Any
    ) -> None:
        finished = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()
        body = {"kind": "state", "schema": 1, "stage": stage, "started": finished, "finished": finished}
        document = body | {"ok": error is None, "error": error, "seen": seen, "totals": {}}
        self.place.put("manifests", f"state/{stage}.json", json.dumps(document).encode())


@pytest.fixture
def system(place: Place, batch: LocalBatch, cli: Cli) -> Iterator[System]:
    with batch.client() as client:
        made = System(place=place, batch=batch, client=client, pool=f"p{uuid.uuid4().hex[:8]}", cli=cli)
        for stage in ("dispatch", "collect", "sweep"):
            made.put_state(stage)
        yield made
        batch.order("quotas", activeJobs=300, lowPriorityCores=500)


def test_a_pool_that_is_missing(system: System) -> None:
    assert system.why()["pool-missing"]["weight"] == "blocked"


def test_a_formula_that_fails(system: System) -> None:
    system.make_pool(formula="$TargetLowPriorityNodes = 1 / 0;")
    until(lambda: system.client.get_pool(system.pool).auto_scale_run is not None)
    found = system.why()["formula-error"]
    assert found["weight"] == "blocked"
    assert any("AutoScalingFormulaEvaluationError" in line for line in found["evidence"])


def test_a_formula_that_is_not_the_settings_own(system: System) -> None:
    system.make_pool(formula="$TargetLowPriorityNodes = 0;")
    assert "formula-stale" in system.why()


def test_the_settings_own_formula_is_not_reported(system: System) -> None:
    system.make_pool(formula=build_formula(PoolSettings()))
    found = system.why()
    assert "formula-stale" not in found
    assert "formula-off" not in found


def test_a_pool_without_a_node_yet(system: System) -> None:
    system.make_pool(formula="$TargetLowPriorityNodes = 0;")
    system.give_work("true")
    assert "evaluat" in system.why()["no-nodes"]["evidence"][0]


def test_nodes_that_are_starting(system: System) -> None:
    system.batch.order("slowboots", poolId=system.pool, seconds=100_000)
    system.make_pool(nodes=1)
    until(lambda: len(list(system.client.list_nodes(system.pool))) == 1)
    system.give_work("true")
    assert "nodes-starting" in system.why()


def test_arrivals_that_dispatch_does_not_take(system: System) -> None:
    """An old inbox is given by a patience of nothing: the grace of three minutes is judged, not waited for."""
    work = Work(
        inboxes=1,
        oldest_inbox=600,
        refused=(),
        manifests=1,
        without_task=1,
        oldest_without_task=600,
        jobs={},
        pending=Pending(active=0, running=0),
        failed=(),
    )
    found = judge_work(work, PipelineSettings())
    assert [finding.code for finding in found] == ["dispatch-behind", "dispatch-behind"]
    system.place.put("manifests", "inbox/p/1.jsonl")
    assert "dispatch-behind" not in system.why()


def test_a_host_that_answers_without_functions_or_refuses_the_key(system: System) -> None:
    """The local Batch service stands in for a host: it answers, and knows neither the key nor the function."""
    found = system.why(DARKROOM_FUNCTIONS_URL=system.batch.endpoint)
    assert {"host-key-refused", "app-does-not-load"} & set(found)


def test_a_pool_held_by_hand_with_work_waiting(system: System) -> None:
    system.make_pool(nodes=0)
    system.give_work("true")
    assert system.why()["formula-off"]["weight"] == "blocked"


def test_a_start_task_that_fails_shows_the_last_lines_of_its_stderr(system: System) -> None:
    system.make_pool(nodes=1, start_task="/bin/sh -c 'echo no such wheel >&2; exit 3'")
    until(lambda: system.nodes_in("starttaskfailed") == 1 or system.nodes_in("start_task_failed") == 1)
    found = system.why()["start-task-failed"]
    assert found["weight"] == "blocked"
    assert "no such wheel" in found["evidence"]


def test_a_quota_of_cores(system: System) -> None:
    system.batch.order("quotas", lowPriorityCores=0)
    system.make_pool(nodes=2)
    until(lambda: bool(system.client.get_pool(system.pool).resize_errors))
    assert system.why()["quota"]["weight"] == "blocked"


def test_nodes_that_azure_cannot_give(system: System) -> None:
    system.batch.order("failallocations", poolId=system.pool)
    system.make_pool(nodes=2)
    until(lambda: bool(system.client.get_pool(system.pool).resize_errors))
    assert any("AllocationFailed" in line for line in system.why()["resize-error"]["evidence"])


@pytest.mark.parametrize(("minutes", "stuck"), [(5, False), (25, True)])
def test_a_resize_is_stuck_after_twenty_minutes_and_not_before(system: System, minutes: int, *, stuck: bool) -> None:
    """The pool is real; that it resizes, and for how long, is given: nobody waits twenty minutes for a test."""
    system.make_pool(nodes=0)
    pool = json.loads(system.cli("pool", "show", "--json", environ=system.environ()).out)
    view = PoolView(**pool | {"resize_errors": (), "allocation": "resizing"})
    pending = Pending(active=0, running=0)
    found = judge_pool(view, pending, PoolSettings(), [], minutes_in_allocation=minutes, on_azure=False)
    assert ("resize-stuck" in {finding.code for finding in found}) is stuck


def test_a_pool_on_azure_without_an_identity(system: System) -> None:
    """The pool is real, and as every pool here without an identity; that it is Azure's is given."""
    system.make_pool(nodes=0)
    pool = json.loads(system.cli("pool", "show", "--json", environ=system.environ()).out)
    view = PoolView(**pool | {"resize_errors": ()})
    pending = Pending(active=0, running=0)
    found = judge_pool(view, pending, PoolSettings(), [], minutes_in_allocation=0, on_azure=True)
    assert "pool-without-identity" in {finding.code for finding in found}


def test_nodes_that_were_preempted(system: System) -> None:
    system.make_pool(nodes=1)
    until(lambda: system.nodes_in("idle") == 1)
    system.give_work("sleep 600")
    until(lambda: system.nodes_in("running") == 1)
    system.batch.order("preempt", poolId=system.pool)
    assert system.why()["preempted"]["weight"] == "blocked"


def test_all_slots_taken(system: System) -> None:
    system.make_pool(nodes=1)
    system.give_work("sleep 600", "true", "true")
    until(lambda: system.client.get_job_task_counts(system.job).task_counts.running == 1)
    found = system.why()["no-slots"]
    assert "2 task(s) wait" in found["what"]


def test_nodes_taken_out_of_scheduling(system: System) -> None:
    system.make_pool(nodes=1)
    until(lambda: system.nodes_in("idle") == 1)
    node = next(iter(system.client.list_nodes(system.pool)))
    options = m.BatchNodeDisableSchedulingOptions(
        node_disable_scheduling_option=m.BatchNodeDisableSchedulingOption.REQUEUE
    )
    system.client.disable_node_scheduling(system.pool, node.id or "", options)
    until(lambda: system.nodes_in("offline") == 1)
    assert "nodes-offline" in system.why()


def test_a_job_that_somebody_disabled(system: System) -> None:
    system.make_pool(nodes=0)
    system.give_work("true")
    system.client.begin_disable_job(
        system.job, m.BatchJobDisableOptions(disable_tasks=m.DisableBatchJobOption.REQUEUE), polling_interval=0
    ).result()
    assert system.why()["job-disabled"]["weight"] == "blocked"


def test_tasks_that_fail_show_what_they_printed(system: System) -> None:
    system.make_pool(nodes=1)
    system.give_work("/bin/sh -c 'echo storage away >&2; exit 1'")
    until(lambda: system.client.get_job_task_counts(system.job).task_counts.failed == 1)
    assert "storage away" in system.why()["tasks-fail"]["evidence"]


def test_a_batch_account_that_does_not_answer(system: System) -> None:
    assert system.why(BATCH_ENDPOINT="http://127.0.0.1:9")["batch-away"]["weight"] == "blocked"


def test_a_batch_key_that_is_refused(system: System) -> None:
    found = system.why(BATCH_KEY="d3Jvbmc=")["permission-denied"]
    assert "BATCH_KEY" in found["advice"]


def test_a_storage_key_that_is_refused(system: System) -> None:
    wrong = system.place.environ["STORAGE_CONNECTION_STRING"].replace("AccountKey=Eby8", "AccountKey=Aby8")
    assert system.why(STORAGE_CONNECTION_STRING=wrong)["permission-denied"]["weight"] == "blocked"


def test_a_container_that_is_missing(system: System) -> None:
    found = system.why(QUARANTINE_CONTAINER="no-such-container")["container-missing"]
    assert "no-such-container" in found["what"]


def test_storage_that_does_not_answer(system: System) -> None:
    away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a;"
    assert system.why(STORAGE_CONNECTION_STRING=away)["storage-away"]["weight"] == "blocked"


def test_a_host_that_is_down(system: System) -> None:
    assert system.why(DARKROOM_FUNCTIONS_URL="http://127.0.0.1:9")["host-down"]["weight"] == "blocked"


def test_a_timer_that_does_not_run(system: System) -> None:
    system.put_state("dispatch", minutes_ago=30)
    assert "dispatch" in system.why()["timer-late"]["what"]


def test_a_stage_that_fails(system: System) -> None:
    system.put_state("collect", error={"code": "DocumentError", "message": "sealed/x.json: schema version 9"})
    assert "sealed/x.json" in system.why()["stage-failed"]["evidence"][0]


def test_an_identity_of_the_app_without_its_role(system: System) -> None:
    system.put_state("dispatch", error={"code": "AccessDeniedError", "message": "could not list manifests: 403"})
    assert "roles" in system.why()["permission-denied"]["advice"]


def test_a_quota_of_active_jobs(system: System) -> None:
    system.put_state("dispatch", error={"code": "ActiveJobAndScheduleQuotaReached", "message": "The quota is reached."})
    assert "clean jobs" in system.why()["quota"]["advice"]


def test_images_that_only_the_sweep_found(system: System) -> None:
    system.put_state("sweep", missing=3)
    assert "3 image(s)" in system.why()["events-missed"]["what"]


def test_events_that_were_given_up(system: System) -> None:
    service = system.place.service
    if "deadletter" not in [container.name for container in service.list_containers()]:
        service.create_container("deadletter")
    letter = [{"subject": "/blobs/x.jpg", "deadLetterReason": "MaxDeliveryAttemptsExceeded", "deliveryAttempts": 30}]
    blob = service.get_blob_client("deadletter", f"SUB/2026/11/21/8/{uuid.uuid4()}.json")
    blob.upload_blob(json.dumps(letter))
    try:
        found = system.why()["events-dead-lettered"]
    finally:
        blob.delete_blob()
    assert any("MaxDeliveryAttemptsExceeded" in line for line in found["evidence"])


def test_an_inbox_that_was_set_aside(system: System) -> None:
    system.place.put("manifests", "refused/p1/1.jsonl")
    assert system.why()["inbox-refused"]["evidence"] == ["refused/p1/1.jsonl"]


def test_when_nothing_is_wrong_nothing_blocks(system: System) -> None:
    system.make_pool(formula=build_formula(PoolSettings()))
    found = system.why()
    assert set(found) <= {"nothing-waits", "host-unknown"}
