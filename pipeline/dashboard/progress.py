"""How far the manifests in flight are, and which PNGs came last: read from the outcomes, a bounded number at a time.

A list is what costs most (docs/dashboard.md), and the ids of manifests begin with their time: one list of what they
begin with in common finds the outcomes of all that were made in the same hour.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipeline.storage import BlobMissingError, Container, Listed, listed
from shared.outcome import Outcome, Result, from_lines

MANIFESTS = 12
"""Manifests whose outcomes are read; of others only their size is known."""
HOUR = len("20261121T10")
"""What the ids of manifests of one hour have in common."""
PAGE = 500
"""Outcome blobs of one list."""
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
        """Images done by manifest, for at most MANIFESTS of them. Costs a list an hour, a read a grown blob."""
        chosen = sorted(set(list(manifests)[:MANIFESTS]))
        runs: dict[str, list[Listed]] = {manifest: [] for manifest in chosen}
        for blob in await self._listed(chosen) if chosen else ():
            runs.get(blob.name.split("/")[0], []).append(blob)
        counts = await asyncio.gather(*(self._count(runs[manifest]) for manifest in chosen))
        return dict(zip(chosen, counts, strict=True))

    async def _listed(self, manifests: Sequence[str]) -> list[Listed]:
        """The outcome blobs of some manifests (sorted), and of others whose names lie between.

        One page; where that is not all, or the manifests are of different hours, they are asked for in two parts.
        """
        first = manifests[0]
        if len(manifests) == 1:
            return await listed(self.outcomes, f"{first}/")
        together = _alike(first, manifests[-1])
        if together >= HOUR:
            async for page in self.outcomes.pages(first[:together], size=PAGE):
                if not page.marker:
                    return list(page.blobs)
                break
        near = [_alike(one, another) for one, another in pairwise(manifests)]
        cut = near.index(min(near)) + 1
        parts = await asyncio.gather(self._listed(manifests[:cut]), self._listed(manifests[cut:]))
        return [blob for part in parts for blob in part]

    def recent(self) -> list[Recent]:
        """The PNGs that this process saw come last, newest first."""
        return sorted(self._recent.values(), key=lambda one: one.at, reverse=True)[:RECENT]

    async def _count(self, runs: Iterable[Listed]) -> int:
        done: set[tuple[str, str]] = set()
        for blob in runs:
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


def _alike(one: str, another: str) -> int:
    """Characters that both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, another, strict=False)) if a != b), min(len(one), len(another))
    )
