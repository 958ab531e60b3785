"""How far the manifests in flight are, and which PNGs came last: read from the outcomes, a bounded number at a time.

A list is what costs most (docs/dashboard.md), and the ids of manifests begin with their time: one list of what they
begin with in common finds the outcomes of all that were made in the same hour. A look takes one such list.
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
    _runs: dict[str, list[Listed]] = field(default_factory=dict)
    _looked: dict[str, int] = field(default_factory=dict)
    _turn: int = 0

    async def of(self, manifests: Iterable[str]) -> dict[str, int]:
        """Images done by manifest, for at most MANIFESTS of them, as far as is known.

        Costs one list, of those of one hour (the hours take turns: of the others, what was found before is told),
        and a read a grown blob.
        """
        chosen = sorted(set(list(manifests)[:MANIFESTS]))
        hours: dict[str, list[str]] = {}
        for manifest in chosen:
            hours.setdefault(manifest[:HOUR], []).append(manifest)
        if hours:
            self._turn += 1
            turn = min(hours, key=lambda hour: (self._looked.get(hour, 0), -len(hours[hour])))
            self._looked = {hour: self._looked.get(hour, 0) for hour in hours} | {turn: self._turn}
            found = await self._listed(hours[turn])
            self._runs |= {one: [blob for blob in found if blob.name.split("/")[0] == one] for one in hours[turn]}
        self._runs = {one: self._runs[one] for one in chosen if one in self._runs}
        counts = await asyncio.gather(*(self._count(runs) for runs in self._runs.values()))
        return dict(zip(self._runs, counts, strict=True))

    async def _listed(self, manifests: Sequence[str]) -> list[Listed]:
        """The outcome blobs of manifests (sorted) of one hour, and of others whose names lie between.

        One page; where that is not all, they are asked for in two parts.
        """
        first = manifests[0]
        if len(manifests) == 1:
            return await listed(self.outcomes, f"{first}/")
        async for page in self.outcomes.pages(first[: _alike(first, manifests[-1])], size=PAGE):
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
