"""Workloads: when images arrive, and when the cloud is unkind. Shipped ones are made from a seed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from darkroom.simulate.model import HOUR, Storm

DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Arrivals in seconds from the start (a Monday, midnight UTC), in order; the bill runs at least to `length`."""

    name: str
    about: str
    length: float
    arrivals: array[float]
    storms: tuple[Storm, ...] = ()


def _poisson(rng: Random, rate: Callable[[float], float], peak: float, end: float) -> Iterator[float]:
    """Arrivals of a Poisson process whose rate (a second) moves, by thinning; `peak` is no lower than any rate."""
    at = 0.0
    while (at := at + rng.expovariate(peak)) < end:
        if rng.random() * peak < rate(at):
            yield at


def _office_rate(at: float) -> float:
    """Monday to Friday, 8 to 18 with a dip at noon: a share of the peak."""
    day, hour = int(at // DAY) % 7, at % DAY / HOUR
    if day > 4 or not 8 <= hour < 18:
        return 0.0
    morning, afternoon = math.exp(-((hour - 10.5) ** 2) / 3), math.exp(-((hour - 15) ** 2) / 4)
    return min(1.0, 0.15 + morning + 0.85 * afternoon)


def _spread(rng: Random, start: float, count: int, seconds: float) -> list[float]:
    return sorted(start + rng.random() * seconds for _ in range(count))


def lone(seed: int) -> Trace:
    rng = Random(f"lone-{seed}")
    arrivals, at = array("d"), HOUR
    while at < 2 * DAY - HOUR:
        arrivals.append(at)
        at += 0.75 * HOUR + rng.expovariate(1 / HOUR)
    return Trace(name="lone", about="Single images, one to three hours apart", length=2 * DAY, arrivals=arrivals)


def drip(seed: int) -> Trace:
    rng = Random(f"drip-{seed}")
    arrivals = array("d", _poisson(rng, lambda _: 0.2, 0.2, DAY))
    return Trace(
        name="drip", about="A steady drip: an image each five seconds", length=DAY + 2 * HOUR, arrivals=arrivals
    )


def office(seed: int) -> Trace:
    rng = Random(f"office-{seed}")
    arrivals = array("d", _poisson(rng, lambda at: 1.5 * _office_rate(at), 1.5, 7 * DAY))
    return Trace(
        name="office", about="A week of office hours, 1.5 images a second at most", length=7 * DAY, arrivals=arrivals
    )


def burst(seed: int) -> Trace:
    rng = Random(f"burst-{seed}")
    arrivals = array("d", _spread(rng, 10 * HOUR + 400.0, 100_000, 300.0))
    return Trace(name="burst", about="100,000 images in five minutes", length=16 * HOUR, arrivals=arrivals)


def bursts(seed: int) -> Trace:
    rng = Random(f"bursts-{seed}")
    arrivals = list(_poisson(rng, lambda at: 0.5 * _office_rate(at), 0.5, 2 * DAY))
    for day in range(2):
        for _ in range(5):
            start = day * DAY + rng.uniform(8, 18) * HOUR
            arrivals += _spread(rng, start, rng.randint(500, 6000), rng.uniform(30, 600))
    return Trace(
        name="bursts",
        about="Two days of office hours with ten bursts of 500 to 6,000",
        length=2 * DAY,
        arrivals=array("d", sorted(arrivals)),
    )


def backlog(seed: int) -> Trace:
    rng = Random(f"backlog-{seed}")
    arrivals = array("d", _spread(rng, HOUR, 250_000, 1500.0))
    return Trace(
        name="backlog",
        about="A sweep finds a month's backlog: 250,000 images in 25 minutes",
        length=12 * HOUR,
        arrivals=arrivals,
    )


def storm(seed: int) -> Trace:
    rng = Random(f"storm-{seed}")
    arrivals = array("d", _poisson(rng, lambda at: 12.0 if HOUR <= at < 7 * HOUR else 0.0, 12.0, 7 * HOUR))
    return Trace(
        name="storm",
        about="Six busy hours with three preemption storms and no capacity after each",
        length=12 * HOUR,
        arrivals=arrivals,
        storms=(
            Storm(at=2 * HOUR, share=0.5, until=2.3 * HOUR),
            Storm(at=3.5 * HOUR, share=0.9, until=4 * HOUR),
            Storm(at=5.2 * HOUR, share=0.6, until=5.3 * HOUR),
        ),
    )


def month(seed: int) -> Trace:
    """For the benchmark: 1,000,000 images in thirty days."""
    rng = Random(f"month-{seed}")
    arrivals = array("d", _poisson(rng, lambda at: 2.2 * _office_rate(at), 2.2, 30 * DAY))
    missing = max(0, 1_000_000 - len(arrivals))
    nights = [day * DAY + 20 * HOUR for day in range(30)]
    more = [at for night in nights for at in _spread(rng, night, missing // 30 + 1, HOUR)]
    kept = sorted([*arrivals, *more])[:1_000_000]
    return Trace(name="month", about="A million images in a month", length=30 * DAY, arrivals=array("d", kept))


SHIPPED: dict[str, Callable[[int], Trace]] = {
    "lone": lone,
    "drip": drip,
    "office": office,
    "burst": burst,
    "bursts": bursts,
    "backlog": backlog,
    "storm": storm,
}
