"""Resource files from a real Azurite onto the node, output files back, through the SDK."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.batch import models as m
from azure.storage.blob import BlobSasPermissions, ContainerSasPermissions, generate_blob_sas, generate_container_sas
from azure.storage.blob.aio import ContainerClient

from localcloud.azurite.account import KEY, NAME
from tests.localcloud.batch.conftest import LocalBatch, file_text, finished_task, make_job, make_pool, task
from tests.localcloud.conftest import Storage

pytestmark = pytest.mark.azurite


async def fill(storage: Storage, container: str, blobs: dict[str, bytes]) -> None:
    async with ContainerClient.from_connection_string(storage.connection_string, container) as client:
        await client.create_container()
        for name, data in blobs.items():
            await client.upload_blob(name, data)


async def read(storage: Storage, container: str) -> dict[str, bytes]:
    async with ContainerClient.from_connection_string(storage.connection_string, container) as client:
        return {n: await (await client.download_blob(n)).readall() async for n in client.list_blob_names()}


def container_url(storage: Storage, container: str) -> str:
    sas = generate_container_sas(
        NAME,
        container,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, list=True, write=True, create=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{storage.endpoint}/{container}?{sas}"


async def test_resource_files_are_there_before_the_command_runs(service: LocalBatch, storage: Storage) -> None:
    await fill(storage, "given", {"in/a b.txt": b"A", "in/deep/c.txt": b"C", "other.sh": b"#!/bin/sh\necho ran"})
    sas = generate_blob_sas(
        NAME,
        "given",
        "other.sh",
        account_key=KEY,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    files = [
        m.ResourceFile(http_url=f"{storage.endpoint}/given/other.sh?{sas}", file_path="bin/run.sh", file_mode="0755"),
        m.ResourceFile(storage_container_url=container_url(storage, "given"), blob_prefix="in/", file_path="got"),
    ]

    def run() -> str:
        with service.client() as client:
            make_pool(client, "given")
            make_job(client, "given", "given")
            command = "/bin/sh -c './bin/run.sh; cat \"got/in/a b.txt\" got/in/deep/c.txt'"
            client.create_task("given", task("t", command, resource_files=files))
            finished_task(client, "given", "t")
            return file_text(client, "given", "t", "stdout.txt")

    assert await asyncio.to_thread(run) == "ran\nAC"


async def test_a_resource_file_that_is_missing_fails_the_task_before_it_starts(
    service: LocalBatch, storage: Storage
) -> None:
    await fill(storage, "empty", {})
    missing = m.ResourceFile(http_url=f"{storage.endpoint}/empty/nothing", file_path="x")

    def run() -> m.BatchTask:
        with service.client() as client:
            make_pool(client, "missing")
            make_job(client, "missing", "missing")
            client.create_task("missing", task("t", "true", resource_files=[missing]))
            return finished_task(client, "missing", "t")

    done = await asyncio.to_thread(run)
    assert done.execution_info is not None
    assert done.execution_info.exit_code is None
    assert done.execution_info.failure_info is not None
    assert done.execution_info.failure_info.code == "BlobNotFound"


async def test_output_files_are_uploaded_as_their_condition_says(service: LocalBatch, storage: Storage) -> None:
    await fill(storage, "outputs", {})
    url = container_url(storage, "outputs")

    def output(pattern: str, path: str, condition: str) -> m.OutputFile:
        return m.OutputFile(
            file_pattern=pattern,
            destination=m.OutputFileDestination(
                container=m.OutputFileBlobContainerDestination(container_url=url, path=path)
            ),
            upload_options=m.OutputFileUploadConfiguration(upload_condition=condition),
        )

    def outputs(name: str) -> list[m.OutputFile]:
        return [
            output("../std*.txt", f"{name}/logs", "taskcompletion"),
            output("**/*.dat", f"{name}/data", "tasksuccess"),
            output("why.txt", f"{name}/why.txt", "taskfailure"),
        ]

    def run() -> None:
        with service.client() as client:
            make_pool(client, "outputs")
            make_job(client, "outputs", "outputs")
            work = "mkdir d; echo 1 > d/x.dat; echo because > why.txt; echo said"
            client.create_task("outputs", task("good", f"/bin/sh -c '{work}'", output_files=outputs("good")))
            client.create_task("outputs", task("bad", f"/bin/sh -c '{work}; exit 1'", output_files=outputs("bad")))
            finished_task(client, "outputs", "good")
            finished_task(client, "outputs", "bad")

    await asyncio.to_thread(run)
    found = await read(storage, "outputs")
    assert found == {
        "good/logs/stdout.txt": b"said\n",
        "good/logs/stderr.txt": b"",
        "good/data/d/x.dat": b"1\n",
        "bad/logs/stdout.txt": b"said\n",
        "bad/logs/stderr.txt": b"",
        "bad/why.txt": b"because\n",
    }


async def test_an_upload_that_is_refused_fails_a_task_that_succeeded(service: LocalBatch, storage: Storage) -> None:
    nowhere = m.OutputFile(
        file_pattern="x",
        destination=m.OutputFileDestination(
            container=m.OutputFileBlobContainerDestination(container_url=f"{storage.endpoint}/no-such-container")
        ),
        upload_options=m.OutputFileUploadConfiguration(upload_condition="tasksuccess"),
    )

    def run() -> m.BatchTask:
        with service.client() as client:
            make_pool(client, "refused")
            make_job(client, "refused", "refused")
            client.create_task("refused", task("t", "touch x", output_files=[nowhere]))
            return finished_task(client, "refused", "t")

    done = await asyncio.to_thread(run)
    assert done.execution_info is not None
    assert done.execution_info.exit_code == 0
    assert done.execution_info.result == m.BatchTaskExecutionResult.FAILURE
    assert done.execution_info.failure_info is not None
    assert done.execution_info.failure_info.code == "FileUploadContainerNotFound"
