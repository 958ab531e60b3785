"""Which versions are on their way already: in an inbox, or in a manifest that is not closed.

Held as sorted 64-bit hashes, eight bytes a version: bounded by the work that is open, not by the containers. Two
versions share a hash once in about 10^19 pairs; such an image would wait for a sweep after the other is done.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from hashlib import blake2b

from pipeline.inbox import PREFIX
from pipeline.sealing import SEALED
from pipeline.storage import BlobMissingError, Container, Stored
from shared.arrival import from_lines
from shared.errors import DocumentError
from shared.manifest import from_bytes

AT_ONCE = 8


def version_hash(name: str, etag: str) -> int:
    """64 bits that stand for one version of one image."""
    data = f"{name}\0{etag}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


class InFlight:
    """A frozen set of versions."""

    def __init__(self, hashes: array[int]) -> None:
        self._sorted = array("Q", sorted(hashes))

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, version: tuple[str, str]) -> bool:
        wanted = version_hash(*version)
        place = bisect_left(self._sorted, wanted)
        return place < len(self._sorted) and self._sorted[place] == wanted


async def gather_in_flight(manifests: Container) -> InFlight:
    """Reads the open inboxes, then the open manifests (an arrival moves that way, so none is missed between)."""
    hashes: array[int] = array("Q")
    for prefix in (PREFIX, SEALED):
        async for page in manifests.pages(prefix):
            for start in range(0, len(page.blobs), AT_ONCE):
                names = [blob.name for blob in page.blobs[start : start + AT_ONCE]]
                for name, stored in zip(
                    names, await asyncio.gather(*(_read(manifests, n) for n in names)), strict=True
                ):
                    if stored is not None:
                        hashes.extend(_versions(name, stored.data))
    return InFlight(hashes)


async def _read(manifests: Container, name: str) -> Stored | None:
    try:
        return await manifests.read(name)
    except BlobMissingError:
        return None  # closed since it was listed


def _versions(name: str, data: bytes) -> list[int]:
    try:
        if name.startswith(SEALED):
            return [version_hash(entry.name, entry.etag) for entry in from_bytes(data, where=name).entries]
        return [version_hash(arrival.name, arrival.etag) for arrival in from_lines(data, where=name)]
    except DocumentError:
        return []  # of another release: dispatch tells; here its images merely count as not on their way
