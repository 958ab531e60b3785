"""The states of Batch's things and the moves that are allowed between them.

Mirrors the enumerations of REST 2025-06-01 (https://learn.microsoft.com/rest/api/batchservice).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PoolState(StrEnum):
    ACTIVE = "active"
    DELETING = "deleting"


class AllocationState(StrEnum):
    STEADY = "steady"
    RESIZING = "resizing"
    STOPPING = "stopping"


class NodeState(StrEnum):
    IDLE = "idle"
    REBOOTING = "rebooting"
    REIMAGING = "reimaging"
    RUNNING = "running"
    UNUSABLE = "unusable"
    CREATING = "creating"
    STARTING = "starting"
    WAITING_FOR_START_TASK = "waitingforstarttask"
    START_TASK_FAILED = "starttaskfailed"
    UNKNOWN = "unknown"
    LEAVING_POOL = "leavingpool"
    OFFLINE = "offline"
    PREEMPTED = "preempted"
    UPGRADING_OS = "upgradingos"
    DEALLOCATED = "deallocated"
    DEALLOCATING = "deallocating"


class JobState(StrEnum):
    ACTIVE = "active"
    DISABLING = "disabling"
    DISABLED = "disabled"
    ENABLING = "enabling"
    TERMINATING = "terminating"
    COMPLETED = "completed"
    DELETING = "deleting"


class ScheduleState(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    DISABLED = "disabled"
    TERMINATING = "terminating"
    DELETING = "deleting"


class TaskState(StrEnum):
    ACTIVE = "active"
    PREPARING = "preparing"
    RUNNING = "running"
    COMPLETED = "completed"


class RunKind(StrEnum):
    """What a run executes."""

    TASK = "task"
    START_TASK = "starttask"
    PREPARATION = "jobpreparation"
    RELEASE = "jobrelease"


class Deallocation(StrEnum):
    """What happens to running tasks when their node goes, reboots, or stops taking tasks."""

    REQUEUE = "requeue"
    TERMINATE = "terminate"
    TASK_COMPLETION = "taskcompletion"
    RETAINED_DATA = "retaineddata"


class FillType(StrEnum):
    SPREAD = "spread"
    PACK = "pack"


_GONE: Final = frozenset({NodeState.LEAVING_POOL, NodeState.PREEMPTED, NodeState.UNUSABLE})
_MAINTENANCE: Final = frozenset({NodeState.REBOOTING, NodeState.REIMAGING, NodeState.DEALLOCATING})
_READY: Final = frozenset({NodeState.IDLE, NodeState.OFFLINE})

NODE_MOVES: Final[Mapping[NodeState, frozenset[NodeState]]] = {
    NodeState.CREATING: _GONE | {NodeState.STARTING},
    NodeState.STARTING: _GONE | _READY | _MAINTENANCE | {NodeState.WAITING_FOR_START_TASK, NodeState.START_TASK_FAILED},
    NodeState.WAITING_FOR_START_TASK: _GONE | _READY | _MAINTENANCE | {NodeState.START_TASK_FAILED},
    NodeState.START_TASK_FAILED: _GONE | _MAINTENANCE,
    NodeState.IDLE: _GONE | _MAINTENANCE | {NodeState.RUNNING, NodeState.OFFLINE},
    NodeState.RUNNING: _GONE | _MAINTENANCE | _READY,
    NodeState.OFFLINE: _GONE | _MAINTENANCE | {NodeState.IDLE, NodeState.RUNNING},
    NodeState.REBOOTING: _GONE | {NodeState.STARTING},
    NodeState.REIMAGING: _GONE | {NodeState.STARTING},
    NodeState.DEALLOCATING: frozenset({NodeState.LEAVING_POOL, NodeState.DEALLOCATED}),
    NodeState.DEALLOCATED: frozenset({NodeState.LEAVING_POOL, NodeState.STARTING}),
    NodeState.PREEMPTED: frozenset({NodeState.LEAVING_POOL, NodeState.CREATING}),
    NodeState.UNUSABLE: frozenset({NodeState.LEAVING_POOL, NodeState.PREEMPTED}),
    NodeState.UNKNOWN: _GONE | _MAINTENANCE,
    NodeState.LEAVING_POOL: frozenset(),
    NodeState.UPGRADING_OS: _GONE,
}

_ENDING: Final = frozenset({JobState.TERMINATING, JobState.DELETING})

JOB_MOVES: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.ACTIVE: _ENDING | {JobState.DISABLING},
    JobState.DISABLING: _ENDING | {JobState.DISABLED, JobState.ENABLING},
    JobState.DISABLED: _ENDING | {JobState.ENABLING},
    JobState.ENABLING: _ENDING | {JobState.ACTIVE, JobState.DISABLING},
    JobState.TERMINATING: frozenset({JobState.COMPLETED, JobState.DELETING}),
    JobState.COMPLETED: frozenset({JobState.DELETING}),
    JobState.DELETING: frozenset(),
}

TASK_MOVES: Final[Mapping[TaskState, frozenset[TaskState]]] = {
    TaskState.ACTIVE: frozenset({TaskState.PREPARING, TaskState.RUNNING, TaskState.COMPLETED}),
    TaskState.PREPARING: frozenset({TaskState.RUNNING, TaskState.ACTIVE, TaskState.COMPLETED}),
    TaskState.RUNNING: frozenset({TaskState.ACTIVE, TaskState.COMPLETED}),
    TaskState.COMPLETED: frozenset({TaskState.ACTIVE}),  # reactivate
}

SCHEDULE_MOVES: Final[Mapping[ScheduleState, frozenset[ScheduleState]]] = {
    ScheduleState.ACTIVE: frozenset(
        {ScheduleState.DISABLED, ScheduleState.TERMINATING, ScheduleState.DELETING, ScheduleState.COMPLETED}
    ),
    ScheduleState.DISABLED: frozenset({ScheduleState.ACTIVE, ScheduleState.TERMINATING, ScheduleState.DELETING}),
    ScheduleState.TERMINATING: frozenset({ScheduleState.COMPLETED, ScheduleState.DELETING}),
    ScheduleState.COMPLETED: frozenset({ScheduleState.DELETING}),
    ScheduleState.DELETING: frozenset(),
}

USABLE: Final = frozenset({NodeState.IDLE, NodeState.RUNNING})
ENDED_JOBS: Final = frozenset({JobState.COMPLETED, JobState.DELETING})
