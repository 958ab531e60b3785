"""Reads quarantine documents. A listing alone tells name, version and reason; the rest is in the document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.failure import CommandError, ExitCode
from shared.quarantine import Quarantined, from_bytes

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a listing tells of a quarantined image."""

    name: str
    reason: str
    etag: str
    since: str


async def list_quarantine(container: ContainerClient, *, prefix: str, reason: str) -> AsyncIterator[Listed]:
    """The quarantined images, by name."""
    async for blob in container.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
        metadata = blob.metadata or {}
        found = metadata.get("reason", "")
        if not reason or found == reason:
            yield Listed(
                name=blob.name,
                reason=found,
                etag=metadata.get("source_etag", ""),
                since=blob.last_modified.isoformat(),
            )


async def read_document(container: ContainerClient, name: str) -> Quarantined:
    """An image's document. Raises CommandError when it is not in quarantine."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    try:
        stream = await container.download_blob(name)
        data = await stream.readall()
    except ResourceNotFoundError as error:
        raise CommandError(f"{name!r} is not in quarantine", code=ExitCode.NOT_FOUND) from error
    return from_bytes(data, where=f"{container.container_name}/{name}")
