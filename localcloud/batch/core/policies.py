"""What the core does not decide itself: how the machines behave, and how much of everything there is."""

from dataclasses import dataclass
from random import Random
from typing import Protocol

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationGrant:
    """The answer to a request for nodes: how many come, when each appears, and the resize error if some do
    not.

    `delays` holds one entry a granted node: seconds from now until its VM is obtained (billing starts then).
    `error` is (code, message) of the pool's `resizeErrors`, such as ("AllocationFailed", "..."). `sticky` errors hold
    autoscale until it is disabled and enabled again, as happens on Azure; others are tried again at each
    evaluation.
    """

    delays: tuple[float, ...]
    error: tuple[str, str] | None = None
    sticky: bool = False


class NodeModel(Protocol):
    """How machines behave. All results are seconds. `rng` is the account's seeded generator: use no other."""

    def allocate(self, *, pool_id: str, dedicated: bool, count: int, now: float, rng: Random) -> AllocationGrant:
        """Answer a request for `count` more nodes."""

    def creating_seconds(self, rng: Random) -> float:
        """From the VM being obtained until the node agent starts."""

    def starting_seconds(self, rng: Random) -> float:
        """From the agent's start until the start task may run."""

    def restarting_seconds(self, rng: Random, *, reimage: bool) -> float:
        """How long a node is in `rebooting` or `reimaging` before it is `starting`."""

    def preempted_after(self, *, pool_id: str, now: float, rng: Random) -> float | None:
        """How long a low-priority node lives, drawn when its VM is obtained. None: never preempted."""

    def restored_after(self, *, pool_id: str, now: float, rng: Random) -> float | None:
        """How long a preempted node waits for a new VM under the same id. None: it stays preempted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTimes:
    """A `NodeModel` that draws times evenly from ranges and preempts at a constant rate. Grants all it is
    asked for."""

    allocation: Range = (0.5, 1.0)
    creating: Range = (0.5, 1.0)
    starting: Range = (0.5, 1.0)
    restarting: Range = (0.5, 1.0)
    preemptions_per_hour: float = 0.0
    restored: Range | None = None

    def allocate(self, *, pool_id: str, dedicated: bool, count: int, now: float, rng: Random) -> AllocationGrant:
        return AllocationGrant(delays=tuple(rng.uniform(*self.allocation) for _ in range(count)))

    def creating_seconds(self, rng: Random) -> float:
        return rng.uniform(*self.creating)

    def starting_seconds(self, rng: Random) -> float:
        return rng.uniform(*self.starting)

    def restarting_seconds(self, rng: Random, *, reimage: bool) -> float:
        return rng.uniform(*self.restarting)

    def preempted_after(self, *, pool_id: str, now: float, rng: Random) -> float | None:
        if self.preemptions_per_hour <= 0:
            return None
        return rng.expovariate(self.preemptions_per_hour / 3600.0)

    def restored_after(self, *, pool_id: str, now: float, rng: Random) -> float | None:
        return None if self.restored is None else rng.uniform(*self.restored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Limits of an account. Defaults are those of a Batch account that was raised for real work.

    https://learn.microsoft.com/azure/batch/batch-quota-limit
    """

    active_jobs: int = 300
    pools: int = 100
    dedicated_cores: int = 100_000
    low_priority_cores: int = 100_000
