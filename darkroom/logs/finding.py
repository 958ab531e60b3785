"""Finds a manifest's task and reads what it printed, while it runs and after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.connection import Connection
from darkroom.failure import CommandError, ExitCode

if TYPE_CHECKING:
    from azure.batch.models import BatchTask

FILES = ("stdout.txt", "stderr.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAt:
    """A task and the job that holds it."""

    job: str
    task: BatchTask


async def find_task(connection: Connection, wanted: str) -> TaskAt:
    """The task with this id (a manifest's id is its task's). Looks where the manifest says, else in every job of the
    pool, newest first. Raises CommandError when there is none (any more)."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    client = await connection.batch()
    async for job in _jobs(connection, wanted):
        try:
            return TaskAt(job=job, task=await client.get_task(job, wanted))
        except ResourceNotFoundError:
            continue
    raise CommandError(
        f"No task {wanted!r} in any job of pool {connection.settings.batch.pool_id!r}",
        code=ExitCode.NOT_FOUND,
        hint="It was not submitted yet, or its job was deleted. darkroom why IMAGE tells an image's story.",
    )


async def _jobs(connection: Connection, manifest: str) -> AsyncIterator[str]:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    manifests = await connection.container(connection.settings.storage.manifests)
    named = ""
    try:
        properties = await manifests.get_blob_client(f"sealed/{manifest}.json").get_blob_properties()
        named = (properties.metadata or {}).get("job", "")
    except ResourceNotFoundError:
        pass
    if named:
        yield named
    pool = connection.settings.batch.pool_id
    client = await connection.batch()
    ids = [job.id async for job in client.list_jobs() if (job.id or "").startswith(f"{pool}-")]
    for job in sorted(ids, reverse=True):
        if job != named:
            yield job


async def read_file(connection: Connection, at: TaskAt, name: str, *, last: int) -> tuple[str, bool]:
    """The last `last` bytes of a task's file, and whether that is not all. Raises CommandError when it is not there."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 (slow to load)

    client = await connection.batch()
    task = at.task.id or ""
    try:
        size = (await client.get_task_file_properties(at.job, task, name)).content_length
        if size == 0:
            return "", False
        start = max(0, size - last)
        stream = await client.download_task_file(at.job, task, name, ocp_range=f"bytes={start}-{size - 1}")
        data = b"".join([chunk async for chunk in stream])
    except HttpResponseError as error:
        if error.status_code not in (404, 409):
            raise
        raise CommandError(
            f"{name} of task {task} is not to be had: the task has not started, or its node is gone",
            code=ExitCode.NOT_FOUND,
        ) from error
    return data.decode("utf-8", "replace"), start > 0
