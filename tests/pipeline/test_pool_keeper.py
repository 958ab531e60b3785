"""A stuck pool is healed: the keeper against the local Batch service as a process, through the unmodified SDK."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from pipeline.azure_batch import AzureBatch
from pipeline.pool_keeper import PoolKeeper
from pipeline.task_form import TaskForm
from shared.app_settings import AppSettings, BatchSettings, PipelineSettings, PoolSettings, StorageSettings
from tests.localcloud.batch.conftest import LocalBatch, make_job, start_service, task
from tests.pipeline.until import until

SPEED = 300
AZURITE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    service = start_service(tmp_path_factory.mktemp("batch"), "--speed", str(SPEED))
    yield service
    service.stop()


@pytest.fixture
async def client(local: LocalBatch) -> AsyncIterator[BatchClient]:
    async with BatchClient(local.endpoint, AzureNamedKeyCredential(local.account, local.key), retry_total=1) as found:
        yield found


def order(local: LocalBatch, kind: str, **properties: object) -> None:
    """Misbehaviour on demand."""
    mark = base64.b64encode(f"{local.account}:{local.key}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - http on loopback
        f"{local.endpoint}/_local/{kind}",
        data=json.dumps(properties).encode(),
        headers={"Authorization": f"Basic {mark}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        answer.read()


@dataclass(slots=True)
class Minutes:
    """Dispatch after dispatch, in the service's own time: what the keeper remembers, did and told."""

    keeper: PoolKeeper
    memory: Mapping[str, Any] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    troubles: set[str] = field(default_factory=set)

    async def next(self) -> None:
        async def remember(memory: Mapping[str, Any]) -> None:
            self.memory = memory

        kept = await self.keeper.keep(memory=self.memory, pending=1, remember=remember)
        self.actions += [action.partition(":")[0] for action in kept.actions]
        self.troubles |= {trouble.code for trouble in kept.troubles}


async def minutes_of(client: BatchClient, pool_id: str) -> Minutes:
    """A pool with our formula, and its keeper: by this machine's clock nothing would ever be old."""
    settings = AppSettings(
        storage=StorageSettings(connection_string=AZURITE),
        batch=BatchSettings(endpoint="http://127.0.0.1:1", pool_id=pool_id, pool_create=True),
        pool=PoolSettings(max_nodes=1),
        pipeline=PipelineSettings(),
    )
    batch = AzureBatch(client, pool_id=pool_id, settings=settings.pool, form=TaskForm(settings=settings, environ={}))
    keeper = PoolKeeper(
        batch=batch, pool_settings=settings.pool, batch_settings=settings.batch, now=lambda: datetime.now(UTC)
    )
    minutes = Minutes(keeper)
    await minutes.next()
    return minutes


async def work_done(client: BatchClient, local: LocalBatch, minutes: Minutes, pool_id: str) -> None:
    """One task comes; dispatches follow until it is done."""
    with local.client() as plain:
        make_job(plain, f"job-{pool_id}", pool_id)
        plain.create_task(f"job-{pool_id}", task("t", "true"))

    async def done() -> bool:
        await minutes.next()
        return (await client.get_task(f"job-{pool_id}", "t")).state == "completed"

    await until(done, what="the task that a stuck pool held up", seconds=90)


async def test_a_node_that_failed_at_start_is_removed_and_the_work_gets_done(
    client: BatchClient, local: LocalBatch
) -> None:
    minutes = await minutes_of(client, "bad-start")
    order(local, "failstarttasks", poolId="bad-start", times=1)
    await work_done(client, local, minutes, "bad-start")
    assert "bad-nodes" in minutes.troubles
    assert minutes.actions.index("DisableAutoscale") < minutes.actions.index("RemoveNodes")
    assert "EnableAutoscale" in minutes.actions[minutes.actions.index("RemoveNodes") :]
    assert len(minutes.memory["healings"]) == 1


async def test_a_node_that_becomes_unusable_is_removed_and_the_work_gets_done(
    client: BatchClient, local: LocalBatch
) -> None:
    """It is watched for ten minutes, since a node may come back by itself; then it makes room for another."""
    minutes = await minutes_of(client, "lost")
    with local.client() as plain:
        make_job(plain, "first", "lost")
        plain.create_task("first", task("t", "sleep 600"))

    async def running() -> bool:
        await minutes.next()
        return (await client.get_task("first", "t")).state == "running"

    await until(running, what="a node at work", seconds=90)
    order(local, "unusablenodes", poolId="lost")
    (node,) = [node.id async for node in client.list_nodes("lost")]

    async def replaced() -> bool:
        await minutes.next()
        return [other.id async for other in client.list_nodes("lost") if other.state == "running"] not in ([], [node])

    await until(replaced, what="another node with the task", seconds=90)
    assert "bad-nodes" in minutes.troubles
    assert minutes.actions.count("RemoveNodes") == 1
    assert len(minutes.memory["healings"]) == 1


async def test_an_allocation_error_that_blocks_autoscale_is_healed(client: BatchClient, local: LocalBatch) -> None:
    minutes = await minutes_of(client, "no-nodes")
    order(local, "failallocations", poolId="no-nodes", sticky=True, times=1)
    await work_done(client, local, minutes, "no-nodes")
    assert {"resize-error", "healing"} <= minutes.troubles
    assert "DisableAutoscale" in minutes.actions
    assert "EnableAutoscale" in minutes.actions


async def test_an_evaluation_error_is_told_with_its_place(client: BatchClient) -> None:
    minutes = await minutes_of(client, "wrong")
    formula = "$TargetDedicatedNodes = val($PendingTasks.GetSample(1), 9);"
    await until(_replaced(minutes, formula), what="somebody to change the formula")

    async def told() -> bool:
        pool = await minutes.keeper.batch.pool()
        return pool is not None and pool.evaluation_error is not None

    await until(told, what="an evaluation that fails")
    pool = await minutes.keeper.batch.pool()
    assert pool is not None
    assert pool.evaluation_error is not None
    code, message = pool.evaluation_error
    assert code == "AutoScalingFormulaEvaluationError"
    assert "Line 1, Col 28" in message
    await minutes.next()
    assert "formula-error" in minutes.troubles


async def test_a_formula_that_somebody_changed_is_put_back(client: BatchClient) -> None:
    minutes = await minutes_of(client, "changed")
    await until(_steady(minutes), what="the pool to be steady")
    await until(_replaced(minutes, "$TargetDedicatedNodes = 0;"), what="somebody to change the formula")
    await until(_kept(minutes), what="the formula to be put back")
    assert "EnableAutoscale" in minutes.actions


def _steady(minutes: Minutes) -> Any:
    async def steady() -> bool:
        pool = await minutes.keeper.batch.pool()
        return pool is not None and pool.allocation_state == "steady"

    return steady


def _replaced(minutes: Minutes, formula: str) -> Any:
    """Batch takes a formula every 30 seconds."""

    async def replaced() -> bool:
        pool = await minutes.keeper.batch.pool()
        if pool is not None and pool.formula != formula:
            try:
                await minutes.keeper.batch.enable_autoscale(formula, 300)
            except Exception:  # noqa: BLE001 - too soon: again
                return False
        return True

    return replaced


def _kept(minutes: Minutes) -> Any:
    async def kept() -> bool:
        await minutes.next()
        pool = await minutes.keeper.batch.pool()
        # The service takes a formula every 30 seconds: a step that came too soon is put off to the next minute.
        return pool is not None and pool.formula.startswith("// Built from Darkroom's settings")

    return kept
