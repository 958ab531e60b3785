"""Misbehaviour on demand, as the SDK meets it."""

from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from tests.localcloud.batch.conftest import (
    LocalBatch,
    as_options,
    code_of,
    finished_task,
    make_job,
    make_pool,
    nodes_in,
    start_service,
    task,
    wait_for,
)
from tests.localcloud.batch.wire_client import order


def test_a_preempted_node_keeps_its_id_and_its_task_runs_again(service: LocalBatch, client: BatchClient) -> None:
    make_pool(client, "spot", target_low_priority_nodes=1)
    make_job(client, "spot", "spot")
    order(service, "nodetimes", restoreSeconds=2)
    client.create_task("spot", task("t", "/bin/sh -c 'echo $$ >> pids; sleep 60'"))
    node = wait_for(lambda: nodes_in(client, "spot", "running"), what="the task")[0]
    assert order(service, "preempt", poolId="spot", count=3) == {"nodes": [node.id]}
    assert node.id in {n.id for n in nodes_in(client, "spot", "preempted", "creating", "starting", "idle", "running")}
    wait_for(lambda: client.get_task("spot", "t").execution_info.requeue_count == 1, what="the requeue")  # type: ignore[union-attr]
    wait_for(lambda: nodes_in(client, "spot", "running"), what="the second run")
    found = client.get_task("spot", "t")
    assert found.execution_info is not None
    assert found.execution_info.retry_count == 0
    client.terminate_task("spot", "t")
    finished_task(client, "spot", "t")


def test_nodes_that_cannot_be_allocated_show_as_resize_errors(service: LocalBatch, client: BatchClient) -> None:
    order(service, "failallocations", poolId="scarce", granted=1, code="AllocationFailed", message="No capacity")
    make_pool(client, "scarce", target_low_priority_nodes=3)
    wait_for(lambda: client.get_pool("scarce").allocation_state == "steady" or None, what="the end of the resize")
    pool = client.get_pool("scarce")
    assert pool.current_low_priority_nodes == 1
    assert pool.resize_errors is not None
    assert (pool.resize_errors[0].code, pool.resize_errors[0].message) == ("AllocationFailed", "No capacity")


def test_start_tasks_fail_and_boots_are_slow_when_told_so(service: LocalBatch, client: BatchClient) -> None:
    order(service, "failstarttasks", poolId="unlucky")
    order(service, "slowboots", poolId="slow", seconds=100_000)
    make_pool(client, "unlucky")
    make_pool(client, "slow")
    wait_for(lambda: nodes_in(client, "unlucky", "starttaskfailed"), what="the failure")
    wait_for(lambda: nodes_in(client, "slow", "creating"), what="the node")
    assert not nodes_in(client, "slow", "idle")


def test_an_unusable_node_gives_its_task_back_says_why_and_can_only_be_removed(
    service: LocalBatch, client: BatchClient
) -> None:
    make_pool(client, "lost", target_low_priority_nodes=1)
    make_job(client, "lost", "lost")
    client.create_task("lost", task("t", "sleep 60"))
    node = wait_for(lambda: nodes_in(client, "lost", "running"), what="the task")[0]
    told = order(service, "unusablenodes", poolId="lost", count=2, code="AgentAway", message="No answer")
    assert told == {"nodes": [node.id]}
    found = client.get_node("lost", node.id or "")
    assert found.state == "unusable"
    assert [(error.code, error.message) for error in found.errors or ()] == [("AgentAway", "No answer")]
    counts = next(iter(client.list_pool_node_counts(filter="poolId eq 'lost'")))
    assert counts.low_priority is not None
    assert counts.low_priority.unusable == 1
    wait_for(lambda: client.get_task("lost", "t").execution_info.requeue_count == 1, what="the requeue")  # type: ignore[union-attr]
    assert client.get_task("lost", "t").state == "active"
    for refused in (
        lambda: client.begin_reboot_node("lost", node.id or "", as_options(nodeRebootOption="requeue")),
        lambda: list(client.list_node_files("lost", node.id or "")),
    ):
        with pytest.raises(ResourceExistsError) as caught:
            refused()
        assert code_of(caught.value) == "NodeStateUnusable"
    client.begin_remove_nodes("lost", m.BatchNodeRemoveOptions(node_ids=[node.id or ""]), polling_interval=0).result()
    assert not list(client.list_nodes("lost"))
    client.terminate_task("lost", "t")


def test_a_preempted_vm_takes_the_unusable_state_with_it(service: LocalBatch, client: BatchClient) -> None:
    make_pool(client, "twice-unlucky", target_low_priority_nodes=1)
    node = wait_for(lambda: nodes_in(client, "twice-unlucky", "idle"), what="the node")[0]
    order(service, "unusablenodes", poolId="twice-unlucky", nodeId=node.id)
    assert nodes_in(client, "twice-unlucky", "unusable")
    order(service, "preempt", poolId="twice-unlucky", nodeId=node.id)
    found = client.get_node("twice-unlucky", node.id or "")
    assert (found.state, found.errors) == ("preempted", None)


def test_answers_are_dated_by_the_services_own_clock(service: LocalBatch, client: BatchClient) -> None:
    """So a client can tell how long something has been so, whatever the speed and its own clock."""
    dates: list[str] = []

    def dated(answer: Any, pool: m.BatchPool, _: object) -> m.BatchPool:
        dates.append(answer.http_response.headers["Date"])
        return pool

    make_pool(client, "dated", target_low_priority_nodes=0)
    made = client.get_pool("dated", cls=dated).creation_time
    wait_for(lambda: client.get_pool("dated", cls=dated) and dates[-1] != dates[0], what="another second of its time")
    assert made is not None
    assert abs(parsedate_to_datetime(dates[0]) - made) < timedelta(minutes=10)


def test_429_is_retried_by_the_sdk_after_the_time_it_is_told(service: LocalBatch, client: BatchClient) -> None:
    order(service, "failrequests", code="TooManyRequests", method="GET", path="/jobs", times=2, retryAfter=0)
    assert isinstance(list(client.list_jobs()), list)
    order(service, "failrequests", code="TooManyRequests", method="GET", path="/jobs")
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_jobs(retry_total=0))
    assert caught.value.status_code == 429


def test_a_500_after_the_deed_makes_a_retry_meet_what_it_made_itself(service: LocalBatch, client: BatchClient) -> None:
    order(service, "failrequests", code="InternalError", method="POST", path="/jobs", after=True)
    with pytest.raises(ResourceExistsError) as caught:
        make_job(client, "twice", "none")
    assert code_of(caught.value) == "JobExists"
    assert client.get_job("twice").state == m.BatchJobState.ACTIVE


def test_quotas_of_jobs_and_cores_are_reached(service: LocalBatch, client: BatchClient) -> None:
    order(service, "quotas", activeJobs=0, dedicatedCores=2)
    try:
        with pytest.raises(ResourceExistsError) as caught:
            make_job(client, "one-too-many", "none")
        assert code_of(caught.value) == "ActiveJobAndScheduleQuotaReached"
        make_pool(client, "dear", target_dedicated_nodes=50)
        wait_for(lambda: client.get_pool("dear").resize_errors, what="the resize error")
        assert client.get_pool("dear").resize_errors[0].code == "AccountCoreQuotaReached"  # type: ignore[index]
    finally:
        order(service, "quotas", activeJobs=300, dedicatedCores=100_000)


@pytest.fixture
def misbehaving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    local = start_service(
        tmp_path_factory.mktemp("misbehaving"), "--misbehave", 'failrequests={"code":"ServerBusy","path":"/jobs"}'
    )
    yield local
    local.stop()


def test_misbehaviour_can_be_ordered_on_the_command_line(misbehaving: LocalBatch) -> None:
    with misbehaving.client() as client, pytest.raises(HttpResponseError) as caught:
        list(client.list_jobs(retry_total=0))
    assert caught.value.status_code == 503
