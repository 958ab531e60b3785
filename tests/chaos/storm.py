"""What a round does to the system, drawn from its seed before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.weather import Fault, Rule, even


class Blow(StrEnum):
    """Something that dies or is taken away."""

    KILL_HOST = "kill-host"  # SIGKILL to the function host
    KILL_WORKER = "kill-worker"  # SIGKILL to one process of a running task
    KILL_BATCH = "kill-batch"  # SIGKILL to the Batch service; its tasks are left to themselves
    RESTART_STORAGE = "restart-storage"  # SIGTERM to Azurite: killed hard it loses data of its own
    PREEMPT = "preempt"  # the VMs of Spot nodes are taken away
    DELETE_JOB = "delete-job"  # a person deletes the day's job with all its tasks, in the middle of the work
    STORAGE_OUTAGE = "storage-outage"  # for seconds nothing reaches storage
    BATCH_OUTAGE = "batch-outage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One blow at its time."""

    at: float
    """Seconds after the round began."""
    blow: Blow
    seconds: float
    """How long what was struck stays away."""


_EACH_ROUND = (
    Blow.KILL_HOST,
    Blow.KILL_HOST,
    Blow.KILL_WORKER,
    Blow.KILL_WORKER,
    Blow.KILL_BATCH,
    Blow.RESTART_STORAGE,
    Blow.PREEMPT,
    Blow.DELETE_JOB,
    Blow.STORAGE_OUTAGE,
    Blow.BATCH_OUTAGE,
)
_SECONDS_PER_EXTRA = 8.0


def schedule(rng: random.Random, *, seconds: float) -> list[Event]:
    """Every kind of blow at least once, some more drawn at random, in order of time, within `seconds`."""
    extra = rng.choices(
        [Blow.KILL_HOST, Blow.KILL_WORKER, Blow.KILL_WORKER, Blow.PREEMPT], k=int(seconds / _SECONDS_PER_EXTRA)
    )
    events = [
        Event(at=rng.uniform(2.0, seconds), blow=blow, seconds=rng.uniform(0.2, 2.5)) for blow in (*_EACH_ROUND, *extra)
    ]
    return sorted(events, key=lambda event: event.at)


def settings(rng: random.Random) -> dict[str, str]:
    """What differs between the function apps of rounds."""
    return {
        "NAMING": rng.choice(["replace", "replace", "append"]),
        "MANIFEST_MAX_IMAGES": rng.choice(["3", "10", "50"]),
        "POOL_SLOTS_PER_NODE": rng.choice(["1", "2"]),
        "WORKER_PROCESSES": rng.choice(["1", "2"]),
    }


STORAGE_RULES: tuple[Rule, ...] = even(
    {
        Fault.DROP: 0.008,
        Fault.DELAY: 0.04,
        Fault.DUPLICATE: 0.02,
        Fault.CUT_REQUEST: 0.008,
        Fault.CUT_ANSWER: 0.008,
        Fault.LOSE_ANSWER: 0.02,
        Fault.FALSE_ERROR: 0.01,
        Fault.INTERNAL: 0.01,
        Fault.BUSY: 0.01,
        Fault.BUSY_LATER: 0.004,
        Fault.TOO_MANY: 0.004,
        Fault.TOO_MANY_LATER: 0.004,
    }
)
"""About 15 % of all requests: a bad day, and more than an SDK's own retries can hide."""

BATCH_RULES: tuple[Rule, ...] = even(
    {
        Fault.DROP: 0.01,
        Fault.DELAY: 0.02,
        Fault.DUPLICATE: 0.02,
        Fault.CUT_REQUEST: 0.005,
        Fault.CUT_ANSWER: 0.01,
        Fault.LOSE_ANSWER: 0.02,
        Fault.FALSE_ERROR: 0.01,
        Fault.INTERNAL: 0.01,
        Fault.BUSY: 0.01,
        Fault.BUSY_LATER: 0.01,
        Fault.TOO_MANY: 0.01,
        Fault.TOO_MANY_LATER: 0.01,
    }
)

OUTAGE: tuple[Rule, ...] = (Rule(fault=Fault.DROP, rate=1.0),)
