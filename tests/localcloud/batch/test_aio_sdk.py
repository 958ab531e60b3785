"""The same service through the asynchronous form of the SDK."""

import asyncio

from azure.batch import models as m
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from tests.localcloud.batch.conftest import LocalBatch, machine


async def test_a_pool_a_job_and_tasks_through_the_asynchronous_sdk(service: LocalBatch) -> None:
    async with BatchClient(service.endpoint, AzureNamedKeyCredential(service.account, service.key)) as client:
        await client.create_pool(
            m.BatchPoolCreateOptions(
                id="aio", vm_size="standard_d2s_v3", virtual_machine_configuration=machine(), target_dedicated_nodes=1
            )
        )
        await client.create_job(m.BatchJobCreateOptions(id="aio", pool_info=m.BatchPoolInfo(pool_id="aio")))
        await client.create_tasks(
            "aio", [m.BatchTaskCreateOptions(id=f"t{n}", command_line="echo hi") for n in range(120)]
        )
        async with asyncio.timeout(60):
            while (await client.get_job_task_counts("aio")).task_counts.completed < 120:  # noqa: ASYNC110 - it is far away
                await asyncio.sleep(0.05)
        done = [t.id async for t in client.list_tasks("aio", filter="executionInfo/exitCode eq 0", select=["id"])]
        assert len(done) == 120
        text = b"".join([chunk async for chunk in await client.download_task_file("aio", "t0", "stdout.txt")])
        assert text == b"hi\n"
        poller = await client.begin_delete_job("aio", polling_interval=0)
        await poller.result()
        assert "aio" not in [job.id async for job in client.list_jobs()]
