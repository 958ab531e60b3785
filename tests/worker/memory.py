"""Blob storage in memory, behind the worker's port. Passes the contract that the real adapter passes on Azurite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.naming import listing_key
from worker.blobs import (
    ArchivedError,
    Blob,
    BlobMissingError,
    ConditionError,
    ContainerMissingError,
    Piece,
    Properties,
)

Hook = Callable[[str, str, str], Awaitable[None]]


@dataclass(slots=True)
class Stored:
    data: bytes
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    log: bool = False
    sealed: bool = False
    archived: bool = False


class MemoryBlobs:
    """`before` is awaited at the start of each operation with (operation, container, name): tests put faults there."""

    def __init__(self, *containers: str) -> None:
        self.containers: dict[str, dict[str, Stored]] = {name: {} for name in containers}
        self.operations: list[tuple[str, str, str]] = []
        self.before: Hook | None = None
        self._etags = 0

    def seed(self, container: str, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> str:
        """Stores a blob as somebody else would, and returns its ETag."""
        self._etags += 1
        etag = f"0x{self._etags:X}"
        self.containers[container][name] = Stored(data=data, etag=etag, metadata=dict(metadata or {}))
        return etag

    async def get(self, container: str, name: str, *, if_match: str = "") -> Blob:
        blob = await self._found("get", container, name)
        if blob.archived:
            raise ArchivedError(name)
        if if_match and blob.etag != if_match:
            raise ConditionError(name)
        return Blob(data=blob.data, etag=blob.etag)

    async def head(self, container: str, name: str) -> Properties:
        blob = await self._found("head", container, name)
        return Properties(name=name, etag=blob.etag, size=len(blob.data), metadata=blob.metadata)

    async def put(
        self,
        container: str,
        name: str,
        pieces: Sequence[Piece],
        *,
        content_type: str,
        metadata: Mapping[str, str],
        if_match: str = "",
    ) -> None:
        there = (await self._container("put", container, name)).get(name)
        if if_match != (there.etag if there else ""):
            raise ConditionError(name)
        self.seed(container, name, b"".join(bytes(piece) for piece in pieces), metadata)
        self.containers[container][name].content_type = content_type

    async def create_log(self, container: str, name: str) -> None:
        if name in await self._container("create_log", container, name):
            raise ConditionError(name)
        self.seed(container, name, b"")
        self.containers[container][name].log = True

    async def append(self, container: str, name: str, data: bytes) -> None:
        blob = await self._found("append", container, name)
        if blob.sealed:
            raise ConditionError(name)
        blob.data += data

    async def list(self, container: str, prefix: str) -> AsyncIterator[Properties]:
        blobs = await self._container("list", container, prefix)
        for name in sorted((name for name in blobs if name.startswith(prefix)), key=listing_key):
            yield Properties(name=name, etag=blobs[name].etag, size=len(blobs[name].data), metadata={})

    async def close(self) -> None:
        pass

    async def _container(self, operation: str, container: str, name: str) -> dict[str, Stored]:
        self.operations.append((operation, container, name))
        if self.before is not None:
            await self.before(operation, container, name)
        if container not in self.containers:
            raise ContainerMissingError(container)
        return self.containers[container]

    async def _found(self, operation: str, container: str, name: str) -> Stored:
        blobs = await self._container(operation, container, name)
        if name not in blobs:
            raise BlobMissingError(name)
        return blobs[name]
