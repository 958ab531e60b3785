"""A blob container in memory, with the rules that the stages lean on, and a gate that every operation passes.

The gate is where tests interfere: it may hold an operation back, refuse it, carry it out and lose its answer, or never
come back. Each operation is carried out in one step, as storage does.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from pipeline.storage import (
    BlobChangedError,
    BlobExistsError,
    BlobMissingError,
    BlobSealedError,
    Listed,
    Page,
    Stored,
)
from shared.naming import listing_key

T = TypeVar("T")
MAX_BLOCKS = 50_000
"""Blocks that an append blob takes (https://learn.microsoft.com/azure/storage/blobs/scalability-targets)."""


class Gate(Protocol):
    """Decides when, and whether, an operation is carried out and answered."""

    def __call__(self, label: str, operation: Callable[[], T]) -> Awaitable[T]:
        """`label` says what is asked, as `append manifests/inbox/a/0.jsonl`."""


async def open_gate(label: str, operation: Callable[[], T]) -> T:
    """Everything passes at once."""
    del label
    return operation()


def wall_clock() -> datetime:
    """Now, as storage dates blobs: whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob as it is at one moment."""

    data: bytes
    etag: str
    created: datetime
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    appendable: bool = False
    blocks: int = 0
    sealed: bool = False


class FakeContainer:
    """See `pipeline.storage.Container`."""

    def __init__(
        self,
        name: str,
        *,
        gate: Gate = open_gate,
        clock: Callable[[], datetime] = wall_clock,
        page_size: int = 5000,
    ) -> None:
        self.name = name
        self.blobs: dict[str, Blob] = {}
        self.operations = 0
        self._gate = gate
        self._clock = clock
        self._page_size = page_size
        self._versions: dict[str, int] = {}

    def snapshot(self) -> Hashable:
        """Equal for equal content; ETags are part of it, dates are not."""
        return tuple(
            (name, blob.data, blob.etag, tuple(sorted(blob.metadata.items())), blob.sealed)
            for name, blob in sorted(self.blobs.items())
        )

    def names(self, prefix: str = "") -> list[str]:
        """For tests: what is there, past the gate."""
        return sorted(name for name in self.blobs if name.startswith(prefix))

    async def create_append(self, name: str) -> None:
        def act() -> None:
            if name in self.blobs:
                raise BlobExistsError(self._about(name))
            self.put(name, b"", {}, appendable=True)

        await self._pass("create append", name, act)

    async def append(self, name: str, data: bytes) -> None:
        def act() -> None:
            blob = self._get(name)
            if blob.sealed or blob.blocks >= MAX_BLOCKS:
                raise BlobSealedError(self._about(name))
            if not blob.appendable:
                raise AssertionError(f"{self._about(name)} is no append blob")
            self._change(name, data=blob.data + data, blocks=blob.blocks + 1)

        await self._pass("append", name, act)

    async def seal(self, name: str) -> None:
        def act() -> None:
            self.blobs[name] = replace(self._get(name), sealed=True)

        await self._pass("seal", name, act)

    async def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        def act() -> str:
            if name in self.blobs:
                raise BlobExistsError(self._about(name))
            return self.put(name, data, metadata or {})

        return await self._pass("create", name, act)

    async def replace(
        self, name: str, data: bytes, *, etag: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        def act() -> str:
            self._check(name, etag)
            return self.put(name, data, metadata or {})

        return await self._pass("replace", name, act)

    async def read(self, name: str, *, last: int | None = None) -> Stored:
        def act() -> Stored:
            blob = self._get(name)
            data = blob.data if last is None else blob.data[max(0, len(blob.data) - last) :]
            return Stored(data=data, etag=blob.etag, metadata=dict(blob.metadata))

        return await self._pass("read", name, act)

    async def find(self, name: str) -> Listed | None:
        def act() -> Listed | None:
            return self._listed(name) if name in self.blobs else None

        return await self._pass("find", name, act)

    async def set_metadata(self, name: str, metadata: Mapping[str, str], *, etag: str) -> str:
        def act() -> str:
            self._get(name)
            self._check(name, etag)
            return self._change(name, metadata=dict(metadata))

        return await self._pass("set metadata", name, act)

    async def delete(self, name: str, *, etag: str | None = None) -> None:
        def act() -> None:
            self._check(name, etag)
            self._get(name)
            del self.blobs[name]

        await self._pass("delete", name, act)

    async def pages(
        self, prefix: str = "", *, metadata: bool = False, marker: str = "", size: int | None = None
    ) -> AsyncIterator[Page]:
        for number in itertools.count():
            start = marker

            def act(start: str = start) -> Page:
                return self._page(prefix, metadata=metadata, start=start, size=size or self._page_size)

            page = await self._pass(f"list ({number})", prefix, act)
            yield page
            marker = page.marker
            if not marker:
                return

    async def _pass(self, verb: str, name: str, operation: Callable[[], T]) -> T:
        self.operations += 1
        return await self._gate(f"{verb} {self.name}/{name}", operation)

    def _page(self, prefix: str, *, metadata: bool, start: str, size: int) -> Page:
        """A marker is the first name of the page that follows."""
        names = sorted((name for name in self.blobs if name.startswith(prefix)), key=listing_key)
        names = [name for name in names if listing_key(name) >= listing_key(start)]
        blobs = [self._listed(name) for name in names[:size]]
        if not metadata:
            blobs = [replace(blob, metadata={}) for blob in blobs]
        return Page(blobs=blobs, marker=names[size] if len(names) > size else "", served=self._clock())

    def _listed(self, name: str) -> Listed:
        blob = self.blobs[name]
        return Listed(
            name=name,
            etag=blob.etag,
            size=len(blob.data),
            created=blob.created,
            modified=blob.modified,
            metadata=dict(blob.metadata),
            sealed=blob.sealed,
        )

    def _get(self, name: str) -> Blob:
        if name not in self.blobs:
            raise BlobMissingError(self._about(name))
        return self.blobs[name]

    def _check(self, name: str, etag: str | None) -> None:
        if etag is not None and (name not in self.blobs or self.blobs[name].etag != etag):
            raise BlobChangedError(self._about(name))

    def put(self, name: str, data: bytes, metadata: Mapping[str, str], *, appendable: bool = False) -> str:
        """For tests: a write past the gate; the ETag."""
        now = self._clock()
        known = self.blobs.get(name)
        self.blobs[name] = Blob(
            data=data,
            etag=self._next_etag(name),
            created=known.created if known else now,
            modified=now,
            metadata=dict(metadata),
            appendable=appendable,
        )
        return self.blobs[name].etag

    def _change(self, name: str, **changes: Any) -> str:
        etag = self._next_etag(name)
        self.blobs[name] = replace(self.blobs[name], etag=etag, modified=self._clock(), **changes)
        return etag

    def _next_etag(self, name: str) -> str:
        """Of the name and how often it was written, so that the order of writes to other blobs does not show."""
        self._versions[name] = self._versions.get(name, 0) + 1
        return f"0x{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08X}{self._versions[name]:04X}"

    def _about(self, name: str) -> str:
        return f"{self.name}/{name}"
