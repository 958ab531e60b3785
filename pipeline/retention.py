"""Retention: archives, outcomes, journals and what was refused are deleted when they are old enough. Never an image."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.journal import JOURNAL, Journal
from pipeline.sealing import REFUSED, SEALED
from pipeline.storage import BlobMissingError, Container, Listed
from pipeline.summary import ARCHIVE

EVERY = timedelta(hours=23)
WIDTH = 16

_log = logging.getLogger("darkroom.retention")


@dataclass(kw_only=True)
class Retention:
    """Prunes by age, within a budget of seconds; what is left waits for the next day."""

    manifests: Container
    outcomes: Container
    journal: Journal
    days: int
    now: Callable[[], datetime]

    async def run(self, *, seconds: float) -> Mapping[str, int]:
        """How many blobs went, by kind. Does nothing when the last run is less than a day ago."""
        last = await self.journal.state("retention")
        recent = last is not None and last.ok and datetime.fromisoformat(last.finished) > self.now() - EVERY
        if recent:
            return {}
        async with self.journal.run("retention", total=frozenset({"archive", "journal", "refused", "outcomes"})) as run:
            until = asyncio.get_running_loop().time() + seconds
            for what, prefix in (("archive", ARCHIVE), ("journal", JOURNAL), ("refused", REFUSED)):
                run.counts[what] = await self._prune(self.manifests, prefix, until, keep=frozenset())
            run.counts["outcomes"] = await self._prune(self.outcomes, "", until, keep=await self._open())
            run.seen = dict(run.counts)
            _log.info("event=pruned %s", " ".join(f"{what}={count}" for what, count in run.counts.items()))
        return Counter(run.counts)

    async def _open(self) -> frozenset[str]:
        """Manifests that are not closed: their outcomes stay, however old."""
        pages = self.manifests.pages(SEALED)
        names = [blob.name async for page in pages for blob in page.blobs]
        return frozenset(name.removeprefix(SEALED).removesuffix(".json") for name in names)

    async def _prune(self, container: Container, prefix: str, until: float, *, keep: frozenset[str]) -> int:
        oldest = self.now() - timedelta(days=self.days)
        limit = asyncio.Semaphore(WIDTH)

        async def delete(blob: Listed) -> None:
            async with limit:
                with suppress(BlobMissingError):
                    await container.delete(blob.name)

        pruned = 0
        async for page in container.pages(prefix):
            old = [blob for blob in page.blobs if blob.modified < oldest and blob.name.split("/")[0] not in keep]
            await asyncio.gather(*(delete(blob) for blob in old))
            pruned += len(old)
            if asyncio.get_running_loop().time() > until:
                break
        return pruned
