"""What an outsider can see of the system at one moment, read from storage and Batch alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom.connection import Connection
from darkroom.demo.ledger import Landed, Ledger, Place

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

_GONE = ("unusable", "preempted", "offline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Images by where they are (they add up to `dropped`), tasks and nodes by state."""

    dropped: int
    arriving: int
    """Dropped, and in no manifest yet: on the way as events, or in an inbox."""
    waiting: int
    """In a manifest whose task does not run yet."""
    running: int
    """In a manifest whose task runs or has ended a moment ago, and not landed yet."""
    converted: int
    quarantined: int
    tasks: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)

    @property
    def node_count(self) -> int:
        """Nodes that are there, in whatever useful state."""
        return sum(count for state, count in self.nodes.items() if state not in _GONE)


async def _landed(container: ContainerClient, etag_key: str, source_key: str) -> list[Landed]:
    found = []
    async for blob in container.list_blobs(include=["metadata"]):
        metadata = blob.metadata or {}
        found.append(Landed(name=blob.name, source=metadata.get(source_key, ""), etag=metadata.get(etag_key, "")))
    return found


async def look(connection: Connection, ledger: Ledger) -> Sight:
    """Look once; the ledger learns where its images are."""
    storage = connection.settings.storage
    ledger.observe(
        await _landed(await connection.container(storage.converted), "source_etag", "source"),
        await _landed(await connection.container(storage.quarantine), "source_etag", "source"),
    )
    tasks = await _tasks(connection)
    waiting = running = 0
    manifests = await connection.container(storage.manifests)
    async for blob in manifests.list_blobs(name_starts_with="sealed/", include=["metadata"]):
        images = int((blob.metadata or {}).get("images", "0"))
        manifest = blob.name.removeprefix("sealed/").removesuffix(".json")
        if tasks.get(manifest, "active") in ("active", "preparing"):
            waiting += images
        else:
            running += images
    open_images = len(ledger.missing)
    waiting = min(waiting, open_images)
    running = min(running, open_images - waiting)
    return Sight(
        dropped=len(ledger.versions),
        arriving=open_images - waiting - running,
        waiting=waiting,
        running=running,
        converted=ledger.count(Place.CONVERTED),
        quarantined=ledger.count(Place.QUARANTINED),
        tasks=dict(Counter(tasks.values())),
        nodes=await _nodes(connection),
    )


def _word(state: object) -> str:
    return str(getattr(state, "value", state) or "unknown")


async def _tasks(connection: Connection) -> dict[str, str]:
    batch = await connection.batch()
    pool = connection.settings.batch.pool_id
    found: dict[str, str] = {}
    async for job in batch.list_jobs():
        if job.id and job.id.startswith(f"{pool}-"):
            async for task in batch.list_tasks(job.id):
                found[str(task.id)] = _word(task.state)
    return found


async def _nodes(connection: Connection) -> dict[str, int]:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    batch = await connection.batch()
    states: Counter[str] = Counter()
    try:
        async for node in batch.list_nodes(connection.settings.batch.pool_id):
            states[_word(node.state)] += 1
    except ResourceNotFoundError:
        return {}  # the pool is made with the first manifest
    return dict(states)
