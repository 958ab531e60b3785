"""Lists and deletes. Deletion is batched (256 blobs a request, the service's limit) and goes on past what is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from darkroom.clean.plan import Blobs
from darkroom.connection import Connection
from darkroom.failure import CommandError
from darkroom.state_word import state_word

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

Advance = Callable[[int], None]

_BATCH = 256
"""https://learn.microsoft.com/rest/api/storageservices/blob-batch"""


async def find_blobs(connection: Connection, wanted: Blobs) -> list[str]:
    """The names of the blobs meant; empty where there is no such container."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    container = await connection.container(wanted.container)
    try:
        return [name async for name in _names(container, wanted)]
    except ResourceNotFoundError:
        return []


async def _names(container: ContainerClient, wanted: Blobs) -> AsyncIterator[str]:
    start = wanted.prefix or None
    if wanted.before is None:
        async for name in container.list_blob_names(name_starts_with=start):
            yield name
        return
    async for blob in container.list_blobs(name_starts_with=start):
        if blob.last_modified < wanted.before:
            yield blob.name


async def remove_blobs(connection: Connection, container: str, names: list[str], advance: Advance) -> None:
    """Deletes the blobs. Raises CommandError when one is refused."""
    client = await connection.container(container)
    for start in range(0, len(names), _BATCH):
        chunk = names[start : start + _BATCH]
        refused = 0
        async for part in await client.delete_blobs(*chunk, raise_on_any_failure=False):
            refused += part.status_code not in (202, 404)
        if refused:
            raise CommandError(f"{refused} of {len(chunk)} blobs of {container} could not be deleted; run it again")
        advance(len(chunk))


async def find_jobs(connection: Connection, *, before: datetime | None, open_too: bool) -> list[str]:
    """The pipeline's jobs that are done (with `open_too`: all of them), by their id's beginning."""
    pool = connection.settings.batch.pool_id
    client = await connection.batch()
    found = []
    async for job in client.list_jobs():
        ours = (job.id or "").startswith(f"{pool}-")
        done = open_too or state_word(job.state) == "completed"
        old = before is None or (job.state_transition_time is not None and job.state_transition_time < before)
        if ours and done and old:
            found.append(job.id)
    return found


async def remove_jobs(connection: Connection, jobs: list[str], advance: Advance) -> None:
    """Deletes the jobs. One that is gone, or being deleted already, is as wanted."""
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    client = await connection.batch()
    for job in jobs:
        with suppress(ResourceNotFoundError, ResourceExistsError):
            await client.begin_delete_job(job, polling_interval=1)
        advance(1)
