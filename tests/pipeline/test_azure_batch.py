"""The Batch adapter on the unmodified SDK, against the local Batch service as a process."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from pipeline.azure_batch import AzureBatch
from pipeline.batch import (
    BatchUnavailableError,
    JobEndedError,
    JobMissingError,
    PoolMissingError,
    QuotaReachedError,
    TaskSpec,
)
from pipeline.scaling import build_formula
from pipeline.task_form import TaskForm, manifest_task
from shared.app_settings import AppSettings, BatchSettings, PipelineSettings, PoolSettings, StorageSettings
from tests.localcloud.batch.conftest import LocalBatch, start_service
from tests.localcloud.batch.wire_client import order
from tests.pipeline.until import until

AZURITE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;"
AGES_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    service = start_service(tmp_path_factory.mktemp("batch"), "--speed", "60")
    yield service
    service.stop()


def adapter(client: BatchClient, pool_id: str, command: str = f"{sys.executable} -c pass") -> AzureBatch:
    settings = AppSettings(
        storage=StorageSettings(connection_string=AZURITE),
        batch=BatchSettings(endpoint="http://127.0.0.1:1", worker_command=command, pool_id=pool_id),
        pool=PoolSettings(max_nodes=1),
        pipeline=PipelineSettings(task_retries=0),
    )
    form = TaskForm(settings=settings, environ={"WORKER_PROCESSES": "1", "SECRET": "not passed on"})
    return AzureBatch(client, pool_id=pool_id, settings=settings.pool, form=form)


@pytest.fixture
async def client(local: LocalBatch) -> AsyncIterator[BatchClient]:
    async with BatchClient(local.endpoint, AzureNamedKeyCredential(local.account, local.key), retry_total=1) as found:
        yield found


FORMULA = build_formula(PoolSettings(max_nodes=1))


async def test_a_missing_pool_is_none_and_a_made_one_has_the_formula(client: BatchClient) -> None:
    batch = adapter(client, "pool-made")
    assert await batch.pool() is None
    await batch.create_pool(FORMULA, 300)
    await batch.create_pool(FORMULA, 300)
    pool = await batch.pool()
    assert pool is not None
    assert (pool.formula, pool.interval, pool.autoscale_enabled, pool.slots) == (FORMULA, 300, True, 1)
    assert pool.evaluation_error is None


async def test_a_formula_is_replaced_and_autoscale_disabled_and_enabled(client: BatchClient) -> None:
    batch = adapter(client, "pool-scaled")
    await batch.create_pool("$TargetDedicatedNodes = 0;", 300)

    async def steady() -> bool:
        pool = await batch.pool()
        return pool is not None and pool.allocation_state == "steady"

    await until(steady, what="the pool to be steady")
    await batch.disable_autoscale()
    pool = await batch.pool()
    assert pool is not None
    assert not pool.autoscale_enabled
    await batch.enable_autoscale(FORMULA, 600)
    pool = await batch.pool()
    assert pool is not None
    assert (pool.formula, pool.interval) == (FORMULA, 600)


async def test_what_is_asked_of_a_missing_pool_says_so(client: BatchClient) -> None:
    batch = adapter(client, "pool-missing")
    with pytest.raises(PoolMissingError):
        await batch.enable_autoscale(FORMULA, 300)
    with pytest.raises(PoolMissingError):
        await batch.nodes()
    assert (await batch.node_counts()).by_state() == {}


async def test_a_job_is_made_once_ended_and_deleted(client: BatchClient) -> None:
    batch = adapter(client, "pool-jobs")
    await batch.create_pool("$TargetDedicatedNodes = 0;", 300)
    await batch.create_job("pool-jobs-20260102")
    await batch.create_job("pool-jobs-20260102")
    assert [job.id for job in await batch.jobs()] == ["pool-jobs-20260102"]
    await batch.end_job("pool-jobs-20260102")
    await batch.end_job("pool-jobs-20260102")
    with pytest.raises(JobEndedError):
        await batch.create_job("pool-jobs-20260102")
    with pytest.raises(JobEndedError):
        await batch.add_tasks("pool-jobs-20260102", [TaskSpec(id="late", environment={})])
    await batch.delete_job("pool-jobs-20260102")

    async def gone() -> bool:
        return await batch.job("pool-jobs-20260102") is None

    await until(gone, what="the job to be deleted")
    await batch.delete_job("pool-jobs-20260102")
    await batch.end_job("pool-jobs-20260102")


async def test_tasks_of_a_missing_job_say_so(client: BatchClient) -> None:
    batch = adapter(client, "pool-none")
    with pytest.raises(JobMissingError):
        await batch.add_tasks("no-such-job", [TaskSpec(id="t", environment={})])
    with pytest.raises(JobMissingError):
        await batch.tasks("no-such-job", since=AGES_AGO)
    with pytest.raises(JobMissingError):
        await batch.task_counts("no-such-job")
    assert await batch.task("no-such-job", "t") is None


async def test_more_than_a_hundred_tasks_are_added_and_repeats_count_as_added(client: BatchClient) -> None:
    batch = adapter(client, "pool-many")
    await batch.create_pool("$TargetDedicatedNodes = 0;", 300)
    await batch.create_job("pool-many-20260102")
    specs = [manifest_task(f"m-{number:04d}", f"sealed/m-{number:04d}.json") for number in range(250)]
    first = await batch.add_tasks("pool-many-20260102", specs[:150])
    again = await batch.add_tasks("pool-many-20260102", specs)
    assert len(first.tasks) == 150
    assert sorted(again.tasks) == [spec.id for spec in specs]
    assert again.refused == {}
    views = await batch.tasks("pool-many-20260102", since=AGES_AGO)
    assert len(views) == 250
    assert {view.state for view in views.values()} == {"active"}
    assert (await batch.task_counts("pool-many-20260102")).active == 250
    assert await batch.tasks("pool-many-20260102", since=datetime.now(UTC) + timedelta(days=300)) == {}
    assert await batch.task("pool-many-20260102", "m-9999") is None


async def test_a_task_runs_with_its_manifest_and_what_the_worker_may_know(client: BatchClient) -> None:
    """The manifest's name comes by environment, never in a command line; what is none of the worker's stays out."""
    show = (
        "import os,sys; e=os.environ; sys.exit(7 if 'SECRET' in e else int(e['DARKROOM_MANIFEST'] != 'sealed/x.json'))"
    )
    batch = adapter(client, "pool-run", command=f'{sys.executable} -c "{show}"')
    await batch.create_pool("$TargetDedicatedNodes = 1;", 300)
    await batch.create_job("pool-run-20260102")
    await batch.add_tasks(
        "pool-run-20260102", [manifest_task("good", "sealed/x.json"), manifest_task("bad", "sealed/y.json")]
    )

    async def ended() -> bool:
        return all(view.completed for view in (await batch.tasks("pool-run-20260102", since=AGES_AGO)).values())

    await until(ended, what="both tasks to end", seconds=60)
    views = await batch.tasks("pool-run-20260102", since=AGES_AGO)
    assert (views["good"].succeeded, views["good"].exit_code) == (True, 0)
    assert (views["bad"].succeeded, views["bad"].exit_code) == (False, 1)
    assert "FailureExitCode" in views["bad"].failure
    assert views["good"].node
    assert [node.id for node in await batch.nodes()] == [views["good"].node]


async def test_a_service_that_is_away_is_told_apart_from_a_refusal() -> None:
    async with BatchClient("http://127.0.0.1:9", AzureNamedKeyCredential("a", "a2V5"), retry_total=0) as client:
        with pytest.raises(BatchUnavailableError):
            await adapter(client, "pool").pool()


def test_a_package_and_a_container_are_mutually_exclusive_and_fetched_by_identity() -> None:
    settings = AppSettings(
        storage=StorageSettings(account_url="https://photos.blob.core.windows.net"),
        batch=BatchSettings(worker_package="worker-1a2b.pyz", worker_identity_resource_id="/subscriptions/x"),
        pool=PoolSettings(),
        pipeline=PipelineSettings(),
    )
    task = TaskForm(settings=settings, environ={}).task(manifest_task("m", "sealed/m.json"))
    assert task.resource_files is not None
    (package,) = task.resource_files
    assert package.http_url == "https://photos.blob.core.windows.net/scripts/worker-1a2b.pyz"
    assert package.file_path == "worker-1a2b.pyz"
    assert package.identity_reference is not None
    image = dataclasses.replace(settings, batch=dataclasses.replace(settings.batch, worker_image="reg/w@sha256:1"))
    task = TaskForm(settings=image, environ={}).task(manifest_task("m", "sealed/m.json"))
    assert task.resource_files is None
    assert task.container_settings is not None
    assert task.container_settings.image_name == "reg/w@sha256:1"


async def test_throttling_is_waited_out_and_a_service_that_stays_busy_is_told(
    local: LocalBatch, client: BatchClient
) -> None:
    batch = adapter(client, "pool-busy")
    order(local, "failrequests", code="TooManyRequests", times=1, retryAfter=0)
    assert await batch.pool() is None
    order(local, "failrequests", code="ServerBusy", times=2, retryAfter=0)
    with pytest.raises(BatchUnavailableError, match="503"):
        await batch.pool()


async def test_a_quota_is_told_by_its_code(local: LocalBatch, client: BatchClient) -> None:
    batch = adapter(client, "pool-quota")
    await batch.create_pool("$TargetDedicatedNodes = 0;", 300)
    order(local, "quotas", activeJobs=0)
    try:
        with pytest.raises(QuotaReachedError) as caught:
            await batch.create_job("pool-quota-20260102")
    finally:
        order(local, "quotas", activeJobs=300)
    assert caught.value.code == "ActiveJobAndScheduleQuotaReached"


async def test_an_answer_that_was_lost_after_the_tasks_were_added_costs_nothing(
    local: LocalBatch, client: BatchClient
) -> None:
    batch = adapter(client, "pool-lost")
    await batch.create_pool("$TargetDedicatedNodes = 0;", 300)
    await batch.create_job("pool-lost-20260102")
    order(local, "failrequests", code="InternalError", times=1, after=True, method="POST", path="/jobs/pool-lost")
    added = await batch.add_tasks("pool-lost-20260102", [manifest_task("m", "sealed/m.json")])
    assert added.tasks == ("m",)
    assert (await batch.task_counts("pool-lost-20260102")).active == 1
