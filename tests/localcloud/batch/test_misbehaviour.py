"""Misbehaviour on demand, as the SDK meets it."""

from collections.abc import Iterator

import pytest
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from tests.localcloud.batch.conftest import (
    LocalBatch,
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
