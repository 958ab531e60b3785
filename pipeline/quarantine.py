"""The quarantine: one document an image that cannot be converted, under the image's own name.

A document is *current* while the image in the container is the version it speaks of. One that speaks of an older
version is replaced when a newer one is quarantined, and deleted when a newer one has become a PNG: by collect where the
quarantine is small, by the sweep always.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.storage import BlobChangedError, BlobExistsError, BlobMissingError, Container, Listed
from shared.naming import source_label
from shared.quarantine import Quarantined, from_bytes, to_bytes

QUARANTINE = "quarantined_now"
"""What collect's state calls the number of quarantined images."""
COUNTED = 1000
"""Quarantined images that are counted by listing them."""

_log = logging.getLogger("darkroom.quarantine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Writes and removes quarantine documents."""

    container: Container
    images: Container

    async def put(self, document: Quarantined) -> bool:
        """Keeps a document; whether it was new. Done again it changes nothing.

        Where a document of another version is there, the image in the container decides which of the two is current.
        """
        data = to_bytes(document)
        metadata = {"source_etag": document.etag, "reason": document.reason, "manifest": document.manifest}
        while True:
            try:
                await self.container.create(document.name, data, metadata=metadata)
            except BlobExistsError:
                known = await self.container.find(document.name)
                if known is None:
                    continue
                if known.metadata.get("source_etag") == document.etag:
                    return False
                image = await self.images.find(document.name)
                if image is None or image.etag != document.etag:
                    return False  # ours speaks of a version that is gone
                try:
                    await self.container.replace(document.name, data, etag=known.etag, metadata=metadata)
                except BlobChangedError:
                    continue
            _log.warning(
                "event=quarantined image=%s reason=%s attempts=%d manifest=%s",
                source_label(document.name),
                document.reason,
                document.attempts,
                document.manifest,
            )
            return True

    async def forget_converted(self, converted: Mapping[str, str]) -> int:
        """Deletes the documents of images (name to ETag) that have become PNGs since; how many.

        One page of the quarantine is looked at: where it holds more, the sweep does it.
        """
        if not converted:
            return 0
        async for page in self.container.pages(metadata=True):
            stale = [blob for blob in page.blobs if blob.name in converted]
            return sum([await self._forget(blob, converted[blob.name]) for blob in stale])
        return 0

    async def count(self) -> int | None:
        """How many there are; None where they are too many to list."""
        async for page in self.container.pages(size=COUNTED):
            return None if page.marker else len(page.blobs)
        return 0

    async def _forget(self, blob: Listed, etag: str) -> bool:
        if blob.metadata.get("source_etag") != etag:
            image = await self.images.find(blob.name)
            if image is not None and image.etag != etag:
                return False  # the document may speak of a version that came after the PNG
        return await self.remove(blob.name, blob.etag)

    async def remove(self, name: str, etag: str) -> bool:
        """Deletes one version of a document; whether it was there."""
        try:
            await self.container.delete(name, etag=etag)
        except (BlobMissingError, BlobChangedError):
            return False
        return True

    async def read(self, name: str) -> Quarantined | None:
        """The document of an image; None where there is none. Raises DocumentError."""
        try:
            stored = await self.container.read(name)
        except BlobMissingError:
            return None
        return from_bytes(stored.data, where=f"{self.container.name}/{name}")
