"""Gathers what is known of one image, without listing any container that grows with the images.

It asks for the image, its PNG and its quarantine document by name, and reads the open inboxes and manifests, of which
there are as many as there is work. Closed manifests are found through the PNG's metadata or the quarantine document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from darkroom.connection import Connection, gather_bounded
from darkroom.failure import CommandError
from darkroom.logs.finding import find_task
from darkroom.report.reading import read_outcomes
from darkroom.state_word import state_word
from darkroom.why.story import Held, Known, Png, Source
from shared import manifest as manifests
from shared import quarantine
from shared.arrival import Arrival, from_lines
from shared.errors import DocumentError
from shared.naming import Naming, is_jpeg_name, normal_etag, png_name, source_label
from shared.outcome import Outcome

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties
    from azure.storage.blob.aio import ContainerClient

_WIDTH = 12


async def know(connection: Connection, name: str) -> Known:
    """All that storage and Batch say of the image `name`."""
    storage = connection.settings.storage
    now = datetime.now(UTC)
    found = await _properties(await connection.container(storage.images), name)
    source = (
        Source(etag=normal_etag(found.etag or ""), size=found.size or 0, modified=found.last_modified or now)
        if found is not None
        else None
    )
    pngs = await _pngs(await connection.container(storage.converted), name) if is_jpeg_name(name) else ()
    quarantined = await _quarantined(await connection.container(storage.quarantine), name)
    container = await connection.container(storage.manifests)
    closed = {png.manifest for png in pngs if png.manifest and png.label == source_label(name)}
    if quarantined is not None and quarantined.manifest:
        closed.add(quarantined.manifest)
    held = [one async for one in _held(connection, container, name)]
    closed -= {one.manifest for one in held}
    return Known(
        name=name,
        source=source,
        pngs=pngs,
        quarantined=quarantined,
        inbox=tuple(sorted([one async for one in _in_inboxes(container, name)], key=lambda arrival: arrival.time)),
        held=tuple(sorted(held, key=lambda one: one.created)),
        past=tuple([one for manifest in sorted(closed) for one in await _past(connection, manifest, name)]),
        now=now,
    )


async def _properties(container: ContainerClient, name: str) -> BlobProperties | None:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    blob = container.get_blob_client(name)
    try:
        return await blob.get_blob_properties()
    except ResourceNotFoundError as error:
        if error.error_code == "ContainerNotFound":  # type: ignore[attr-defined]  # set by the storage SDK
            raise
        return None


async def _pngs(container: ContainerClient, name: str) -> tuple[Png, ...]:
    pngs = []
    for candidate in dict.fromkeys(png_name(name, naming) for naming in Naming):
        found = await _properties(container, candidate)
        if found is not None:
            metadata = found.metadata or {}
            pngs.append(
                Png(
                    name=candidate,
                    label=metadata.get("source", ""),
                    source_etag=metadata.get("source_etag", ""),
                    manifest=metadata.get("manifest", ""),
                    modified=found.last_modified or datetime.now(UTC),
                    size=found.size or 0,
                )
            )
    return tuple(pngs)


async def _quarantined(container: ContainerClient, name: str) -> quarantine.Quarantined | None:
    data = await _content(container, name)
    return None if data is None else quarantine.from_bytes(data, where=f"{container.container_name}/{name}")


async def _content(container: ContainerClient, name: str) -> bytes | None:
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    for _ in range(5):
        try:
            return await (await container.download_blob(name)).readall()
        except ResourceNotFoundError:
            return None
        except ResourceModifiedError:
            continue  # an append blob grew while it was read
    return None


async def _in_inboxes(container: ContainerClient, name: str) -> AsyncIterator[Arrival]:
    async def one(blob: str) -> list[Arrival]:
        data = await _content(container, blob)
        whole = data[: data.rfind(b"\n") + 1] if data else b""
        try:
            return [arrival for arrival in from_lines(whole, where=blob) if arrival.name == name]
        except DocumentError:
            return []  # dispatch sets it aside, and `why` without a name tells of it

    async def jobs() -> AsyncIterator[Coroutine[Any, Any, list[Arrival]]]:
        async for blob in container.list_blob_names(name_starts_with="inbox/"):
            yield one(blob)

    async for arrivals in gather_bounded(jobs(), _WIDTH):
        for arrival in arrivals:
            yield arrival


async def _held(connection: Connection, container: ContainerClient, name: str) -> AsyncIterator[Held]:
    async def one(blob: str, job: str) -> Held | None:
        data = await _content(container, blob)
        if data is None or (name.encode("utf-8", "surrogatepass") not in data and b"\\" not in data):
            return None
        manifest = manifests.from_bytes(data, where=blob)
        entry = next((entry for entry in manifest.entries if entry.name == name), None)
        return None if entry is None else await _with_task(connection, manifest, entry, job)

    async def jobs() -> AsyncIterator[Coroutine[Any, Any, Held | None]]:
        async for blob in container.list_blobs(name_starts_with="sealed/", include=["metadata"]):
            yield one(blob.name, (blob.metadata or {}).get("job", ""))

    async for held in gather_bounded(jobs(), _WIDTH):
        if held is not None:
            yield held


async def _with_task(connection: Connection, manifest: manifests.Manifest, entry: manifests.Entry, job: str) -> Held:
    state = node = failure = ""
    retries = requeued = 0
    if job:
        try:
            task = (await find_task(connection, manifest.id)).task
        except CommandError:
            task = None
        if task is not None:
            info = task.execution_info
            state = state_word(task.state)
            node = (task.node_info.node_id or "") if task.node_info else ""
            retries = (info.retry_count or 0) if info else 0
            requeued = (info.requeue_count or 0) if info else 0
            failed = info.failure_info if info else None
            failure = f"{failed.code}: {failed.message}" if failed else ""
    return Held(
        manifest=manifest.id,
        created=manifest.created,
        entry=entry,
        job=job,
        task_state=state,
        node=node,
        retries=retries,
        requeued=requeued,
        failure=failure,
        outcomes=tuple(outcome for _, outcome in await _past(connection, manifest.id, entry.name)),
    )


async def _past(connection: Connection, manifest: str, name: str) -> list[tuple[str, Outcome]]:
    container = await connection.container(connection.settings.storage.outcomes)
    long_ago = datetime.now(UTC) - timedelta(days=3650)
    return [
        (manifest, outcome)
        async for blob in read_outcomes(container, since=long_ago, manifest=manifest)
        for outcome in blob.outcomes
        if outcome.name == name
    ]
