"""The numbers of a simulation: what an image costs, how the pipeline cuts, how machines behave, what they are paid."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.batch.core import AllocationGrant

Range = tuple[float, float]
HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What tasks take, and how images become tasks.

    Dispatch looks each `dispatch_every` seconds; when the oldest arrival waits `max_age` seconds or `max_images` are
    there, all that wait are cut into manifests of up to `max_images`, and each is a task at once. A task takes
    `startup` seconds, then its images one after the other at (cores / slots) / `image_seconds` a second; after a
    preemption it goes on behind the last image that was done, as the worker does.
    """

    image_seconds: float = 1.0
    """Core-seconds an image, on the average: a 24 MP photo decoded, encoded, fetched and stored."""
    image_spread: float = 0.5
    """Standard deviation of one image's time, as a share of the average."""
    startup: float = 6.0
    """Seconds from a task's start to its first image."""
    max_images: int = 500
    max_age: float = 60.0
    dispatch_every: float = 60.0
    dispatch_takes: Range = (3.0, 15.0)
    """Seconds from dispatch's start until its tasks are in the job."""
    cores: int = 2
    slots: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """How nodes behave. Times in seconds, drawn evenly from ranges. A node is paid from the end of `allocation` on."""

    allocation: Range = (20.0, 70.0)
    creating: Range = (30.0, 60.0)
    starting: Range = (30.0, 60.0)
    start_task: Range = (30.0, 75.0)
    restored: Range = (300.0, 1800.0)
    """How long a preempted node waits for a new VM."""
    preemptions_per_hour: float = 0.02
    """Of one Spot node."""
    cap: int = 20
    """The account's quota, in nodes of each kind: no formula gets more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Money a node and hour. Spot prices move: put in what you pay."""

    spot: float = 0.02
    dedicated: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """At `at` seconds into the trace a `share` of the Spot nodes is preempted; until `until` no new ones are had."""

    at: float
    share: float
    until: float


NO_CAPACITY = AllocationGrant(
    delays=(), error=("AllocationFailed", "Desired number of Spot nodes could not be allocated: no capacity")
)
