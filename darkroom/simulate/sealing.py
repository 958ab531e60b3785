"""The pipeline in front of Batch: arrivals become manifests. Independent of the pool, so it is done before the run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from darkroom.simulate.model import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Arrivals `first` to `first + images - 1`, one task from `added_at` on, `seconds` of work on one slot."""

    id: str
    first: int
    images: int
    added_at: float
    seconds: float


def seal(arrivals: Sequence[float], work: Work, *, seed: int) -> list[Manifest]:
    """The manifests that dispatch makes of the arrivals, in order. The same seed gives the same work."""
    rng = Random(f"work-{seed}")
    manifests: list[Manifest] = []
    done = 0
    while done < len(arrivals):
        tick = _next_tick(arrivals, done, work)
        added = tick + rng.uniform(*work.dispatch_takes)
        waiting = bisect_right(arrivals, tick) - done
        while waiting > 0:
            images = min(waiting, work.max_images)
            manifests.append(
                Manifest(
                    id=f"m{len(manifests):06d}",
                    first=done,
                    images=images,
                    added_at=added,
                    seconds=_seconds(rng, images, work),
                )
            )
            done += images
            waiting -= images
    return manifests


def _next_tick(arrivals: Sequence[float], done: int, work: Work) -> float:
    """The first look of dispatch at which the oldest waiting arrival is old enough, or enough of them are there."""
    full = done + work.max_images - 1
    ready = arrivals[done] + work.max_age
    if full < len(arrivals):
        ready = min(ready, arrivals[full])
    return -(-ready // work.dispatch_every) * work.dispatch_every


def _seconds(rng: Random, images: int, work: Work) -> float:
    """The time of a manifest's images on one slot: the mean of many varies less than one does."""
    spread = work.image_spread / images**0.5
    return images * work.image_seconds * max(0.2, rng.gauss(1.0, spread)) * work.slots / work.cores
