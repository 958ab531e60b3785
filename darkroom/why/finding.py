"""A finding: one reason why nothing (or too little) happens, what shows it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PATIENCE = 240.0
"""Seconds that something may be late before it is told: a run of a stage takes some time itself."""


class Weight(StrEnum):
    """How much it matters."""

    BLOCKED = "blocked"  # nothing moves until somebody acts
    SLOWED = "slowed"  # it moves less than it could, or will mend itself
    NOTE = "note"  # worth knowing


class Code(StrEnum):
    """Stable names of findings, for scripts. docs/cli.md has them all."""

    NOTHING_WAITS = "nothing-waits"
    STORAGE_AWAY = "storage-away"
    STORAGE_KEY_REFUSED = "storage-key-refused"
    CONTAINER_MISSING = "container-missing"
    PERMISSION_DENIED = "permission-denied"
    HOST_DOWN = "host-down"
    HOST_KEY_REFUSED = "host-key-refused"
    HOST_UNKNOWN = "host-unknown"
    APP_DOES_NOT_LOAD = "app-does-not-load"
    TIMER_LATE = "timer-late"
    STAGE_FAILED = "stage-failed"
    EVENTS_UNDELIVERED = "events-undelivered"
    EVENTS_DEAD_LETTERED = "events-dead-lettered"
    EVENTS_MISSED = "events-missed"
    DISPATCH_BEHIND = "dispatch-behind"
    INBOX_REFUSED = "inbox-refused"
    BATCH_AWAY = "batch-away"
    POOL_MISSING = "pool-missing"
    POOL_WITHOUT_IDENTITY = "pool-without-identity"
    QUOTA = "quota"
    RESIZE_ERROR = "resize-error"
    RESIZE_STUCK = "resize-stuck"
    FORMULA_ERROR = "formula-error"
    FORMULA_STALE = "formula-stale"
    FORMULA_OFF = "formula-off"
    START_TASK_FAILED = "start-task-failed"
    NODES_UNUSABLE = "nodes-unusable"
    NODES_OFFLINE = "nodes-offline"
    PREEMPTED = "preempted"
    NODES_STARTING = "nodes-starting"
    NO_NODES = "no-nodes"
    NO_SLOTS = "no-slots"
    JOB_DISABLED = "job-disabled"
    TASKS_FAIL = "tasks-fail"
    PROBE_FAILED = "probe-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason."""

    code: Code
    weight: Weight
    what: str
    """A sentence."""
    advice: str
    """What to do; empty where nothing is to be done."""
    evidence: tuple[str, ...] = ()
    """What shows it: states, messages, last lines of a log."""
