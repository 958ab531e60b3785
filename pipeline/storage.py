"""The few things that the stages ask of one blob container, and the errors they must tell apart.

`Container` is the port: `pipeline/azure_storage.py` is the real one, `tests/fakes/storage.py` the fake; both pass
`tests/pipeline/test_storage_contract.py`. ETags are bare (no quotes) on both sides of the port. An operation that
raises StorageUnavailableError may have taken effect: callers treat "already there" and "changed" as "perhaps mine".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.errors import DarkroomError, RetryableError


class StorageError(DarkroomError):
    """Base of what a container answers."""


class BlobMissingError(StorageError):
    """There is no such blob."""


class BlobExistsError(StorageError):
    """`create` found a blob of that name."""


class BlobChangedError(StorageError):
    """A condition on an ETag did not hold: somebody else wrote, or it is gone."""


class BlobSealedError(StorageError):
    """An append met a sealed blob, or one that has taken all the blocks it can."""


class AccessDeniedError(StorageError):
    """The identity lacks a role, or the key is wrong. The message names the container and the operation."""


class StorageUnavailableError(StorageError, RetryableError):
    """The service did not answer as it should. The operation may or may not have taken effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One blob of a listing."""

    name: str
    etag: str
    size: int
    """Bytes."""
    created: datetime
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a listing, in the service's order (see shared.naming.listing_key)."""

    blobs: Sequence[Listed]
    marker: str
    """Continues the listing after this page; empty at the end."""
    served: datetime | None = None
    """The service's clock when it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A blob's content."""

    data: bytes
    etag: str
    metadata: Mapping[str, str]


class Container(Protocol):
    """One blob container. Every method may raise StorageUnavailableError or AccessDeniedError."""

    name: str

    async def create_append(self, name: str) -> None:
        """Make an empty append blob. Raises BlobExistsError."""

    async def append(self, name: str, data: bytes) -> None:
        """Append one block, at most 4 MiB. Raises BlobMissingError, BlobSealedError."""

    async def seal(self, name: str) -> None:
        """No append can follow. Idempotent. Raises BlobMissingError."""

    async def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Write a blob that must not exist; its ETag. Raises BlobExistsError."""

    async def replace(
        self, name: str, data: bytes, *, etag: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Write a blob, whatever is there, or with `etag` only over that version; its ETag. Raises BlobChangedError."""

    async def read(self, name: str, *, last: int | None = None) -> Stored:
        """The whole blob, or its last bytes. Raises BlobMissingError."""

    async def find(self, name: str) -> Listed | None:
        """What a listing would say of one blob; None when there is no such blob."""

    async def set_metadata(self, name: str, metadata: Mapping[str, str], *, etag: str) -> str:
        """Replace a blob's metadata; its new ETag. Raises BlobChangedError, BlobMissingError."""

    async def delete(self, name: str, *, etag: str | None = None) -> None:
        """Raises BlobMissingError; with `etag`, BlobChangedError where it is another version (or gone)."""

    def pages(
        self, prefix: str = "", *, metadata: bool = False, marker: str = "", size: int | None = None
    ) -> AsyncIterator[Page]:
        """The listing, page by page (at most 5,000 a page), from a marker on."""


async def listed(container: Container, prefix: str, *, metadata: bool = False) -> list[Listed]:
    """All blobs under a prefix that is known to hold few."""
    return [blob async for page in container.pages(prefix, metadata=metadata) for blob in page.blobs]
