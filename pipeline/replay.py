"""Replay: quarantined images get another chance, or their documents are dropped.

An image comes back as a new arrival of the version that is in the container now, with no failed attempts. Its document
stays until the image has become a PNG or is gone: then collect or the sweep removes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.inbox import Inbox
from pipeline.quarantine import Quarantine
from pipeline.storage import Container, Listed
from shared.arrival import Arrival
from shared.naming import is_jpeg_name

AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which documents: all of the names given, or all under a prefix; of one reason where it is given."""

    names: tuple[str, ...] = ()
    prefix: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay or a drop came to."""

    matched: int
    replayed: int = 0
    dropped: int = 0
    gone: int = 0
    """Documents whose image is not in the container any more."""
    examples: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        return {
            "matched": self.matched,
            "replayed": self.replayed,
            "dropped": self.dropped,
            "gone": self.gone,
            "examples": list(self.examples),
        }


@dataclass(kw_only=True)
class Replay:
    """Works on the quarantine, page by page."""

    quarantine: Quarantine
    images: Container
    inbox: Inbox
    now: Callable[[], datetime]

    async def replay(self, chosen: Chosen, *, dry_run: bool = False) -> Replayed:
        """Brings the chosen images back. Raises RetryableError where that did not become durable."""
        matched = replayed = gone = 0
        examples: list[str] = []
        arrivals: list[Arrival] = []
        async for blob in self._chosen(chosen):
            matched += 1
            examples += [blob.name] if len(examples) < 10 else []
            image = await self.images.find(blob.name)
            if image is None or not is_jpeg_name(image.name):
                gone += 1
                continue
            replayed += 1
            if not dry_run:
                arrivals.append(self._arrival(image, blob))
            if len(arrivals) >= AT_ONCE:
                await self.inbox.add(arrivals, deadline=60)
                arrivals = []
        await self.inbox.add(arrivals, deadline=60)
        return Replayed(matched=matched, replayed=replayed, gone=gone, examples=tuple(examples))

    async def drop(self, chosen: Chosen, *, dry_run: bool = False) -> Replayed:
        """Deletes the chosen documents. The next sweep tries those images again that are still there."""
        matched = dropped = 0
        examples: list[str] = []
        async for blob in self._chosen(chosen):
            matched += 1
            examples += [blob.name] if len(examples) < 10 else []
            if dry_run or await self.quarantine.remove(blob.name, blob.etag):
                dropped += 1
        return Replayed(matched=matched, dropped=dropped, examples=tuple(examples))

    async def _chosen(self, chosen: Chosen) -> AsyncIterator[Listed]:
        if chosen.names:
            async for blob in self._named(chosen.names):
                if not chosen.reason or blob.metadata.get("reason") == chosen.reason:
                    yield blob
            return
        async for page in self.quarantine.container.pages(chosen.prefix, metadata=True):
            for blob in page.blobs:
                if not chosen.reason or blob.metadata.get("reason") == chosen.reason:
                    yield blob

    async def _named(self, names: Iterable[str]) -> AsyncIterator[Listed]:
        for name in names:
            blob = await self.quarantine.container.find(name)
            if blob is not None:
                yield blob

    def _arrival(self, image: Listed, document: Listed) -> Arrival:
        return Arrival(
            # A second replay of the same document within one plan is one entry; a later one is another.
            id=f"replay-{document.etag}-{image.etag}-{self.now():%Y%m%dT%H%M%S}",
            name=image.name,
            etag=image.etag,
            size=image.size,
            time=image.modified.isoformat(),
            via="replay",
        )
