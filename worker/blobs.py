"""Blob storage as the worker needs it: the port, its values and its errors. The adapter is `worker/storage.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import PermanentError, RetryableError

Piece = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What is known of a blob without its content."""

    name: str
    etag: str
    """Bare: no quotes."""
    size: int
    """Bytes."""
    metadata: Mapping[str, str]
    """Empty in listings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob's content and the version that it is of."""

    data: bytes
    etag: str


class BlobMissingError(PermanentError):
    """There is no such blob."""


class ContainerMissingError(PermanentError):
    """There is no such container: a wrong name in the settings, or the deployment did not make it."""


class ConditionError(PermanentError):
    """The blob is not as the request's condition wants it: another version, or there already."""


class ArchivedError(PermanentError):
    """The blob is in the archive tier: it cannot be read until it is rehydrated."""


class CredentialsError(PermanentError):
    """The account refused the worker's identity, or none was to be had."""


class StorageAwayError(RetryableError):
    """The account did not do it, after all retries."""


class Blobs(Protocol):
    """The operations. Each raises StorageAwayError, CredentialsError and ContainerMissingError; others are named."""

    async def get(self, container: str, name: str, *, if_match: str = "") -> Blob:
        """A whole blob. Raises BlobMissingError, ArchivedError, and ConditionError where it is not `if_match`."""
        ...

    async def head(self, container: str, name: str) -> Properties:
        """A blob's properties. Raises BlobMissingError."""
        ...

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
        """Writes a block blob: a new one, or over the version `if_match`. Raises ConditionError where it is not so."""
        ...

    async def create_log(self, container: str, name: str) -> None:
        """Makes an empty append blob. Raises ConditionError where there is one."""
        ...

    async def append(self, container: str, name: str, data: bytes) -> None:
        """Appends to it, 4 MB at most. May take effect twice. Raises BlobMissingError, ConditionError (sealed)."""
        ...

    def list(self, container: str, prefix: str) -> AsyncIterator[Properties]:
        """The blobs whose names start so, in the listing's order."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...
