"""The machines of a simulation, as the core of the Batch service asks for them."""

from __future__ import annotations

from random import Random

from darkroom.simulate.model import NO_CAPACITY, Machines, Storm
from localcloud.batch.core import AllocationGrant


class SimulatedMachines:
    """A `NodeModel`: times drawn from ranges, a constant rate of preemption, and no Spot capacity after a storm."""

    def __init__(self, machines: Machines, storms: tuple[Storm, ...], *, start: float) -> None:
        self._machines = machines
        self._droughts = [(start + storm.at, start + storm.until) for storm in storms]

    def _drought_ends(self, now: float) -> float | None:
        return max((end for begin, end in self._droughts if begin <= now < end), default=None)

    def allocate(self, *, pool_id: str, dedicated: bool, count: int, now: float, rng: Random) -> AllocationGrant:
        if not dedicated and self._drought_ends(now) is not None:
            return NO_CAPACITY
        return AllocationGrant(delays=tuple(rng.uniform(*self._machines.allocation) for _ in range(count)))

    def creating_seconds(self, rng: Random) -> float:
        return rng.uniform(*self._machines.creating)

    def starting_seconds(self, rng: Random) -> float:
        return rng.uniform(*self._machines.starting)

    def restarting_seconds(self, rng: Random, *, reimage: bool) -> float:
        return rng.uniform(*self._machines.starting)

    def preempted_after(self, *, pool_id: str, now: float, rng: Random) -> float | None:
        rate = self._machines.preemptions_per_hour
        return rng.expovariate(rate / 3600.0) if rate > 0 else None

    def restored_after(self, *, pool_id: str, now: float, rng: Random) -> float | None:
        ends = self._drought_ends(now)
        return (ends - now if ends is not None else 0.0) + rng.uniform(*self._machines.restored)
