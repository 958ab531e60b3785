"""How far the manifests in flight are, and which PNGs came last: read from the outcomes, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.storage import BlobMissingError, Container, listed
from shared.outcome import Outcome, Result, from_lines

MANIFESTS = 10
"""Manifests whose progress is read; of others only their size is known."""
RECENT = 12
_REMEMBERED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """A PNG that was just made."""

    png: str
    at: str
    bytes: int


@dataclass(kw_only=True)
class Progress:
    """One process's knowledge of the runs' outcome blobs. A blob that did not grow is not read again."""

    outcomes: Container
    _done: OrderedDict[str, tuple[str, frozenset[tuple[str, str]]]] = field(default_factory=OrderedDict)
    _recent: dict[str, Recent] = field(default_factory=dict)

    async def of(self, manifests: Iterable[str]) -> dict[str, int]:
        """Images done by manifest, for at most MANIFESTS of them. Costs a listing a manifest, a read a grown blob."""
        chosen = list(manifests)[:MANIFESTS]
        counts = await asyncio.gather(*(self._count(manifest) for manifest in chosen))
        return dict(zip(chosen, counts, strict=True))

    def recent(self) -> list[Recent]:
        """The PNGs that this process saw come last, newest first."""
        return sorted(self._recent.values(), key=lambda one: one.at, reverse=True)[:RECENT]

    async def _count(self, manifest: str) -> int:
        done: set[tuple[str, str]] = set()
        for blob in await listed(self.outcomes, f"{manifest}/"):
            known = self._done.get(blob.name)
            if known is None or known[0] != blob.etag:
                known = (blob.etag, await self._read(blob.name))
                self._done[blob.name] = known
                while len(self._done) > _REMEMBERED:
                    self._done.popitem(last=False)
            done |= known[1]
        return len(done)

    async def _read(self, name: str) -> frozenset[tuple[str, str]]:
        try:
            stored = await self.outcomes.read(name)
        except BlobMissingError:
            return frozenset()
        outcomes = from_lines(stored.data, where=name).outcomes
        self._note(outcomes)
        return frozenset(outcome.key for outcome in outcomes)

    def _note(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.result is Result.CONVERTED and outcome.png:
                self._recent[outcome.png] = Recent(png=outcome.png, at=outcome.at, bytes=outcome.bytes_out)
        if len(self._recent) > 4 * RECENT:
            self._recent = {one.png: one for one in self.recent()}
