"""The names that the service defines: metrics, targets, deallocation options, time intervals."""

from typing import Final

from localcloud.batch.autoscale.values import TICKS_PER_SECOND, Interval

TARGET_DEDICATED: Final = "$TargetDedicatedNodes"
TARGET_LOW_PRIORITY: Final = "$TargetLowPriorityNodes"
DEALLOCATION_OPTION: Final = "$NodeDeallocationOption"
TASK_SLOTS: Final = "$TaskSlotsPerNode"

# "If both the fully named variable and its alias are set by the formula, the fully named one takes
# precedence."
ALIASES: Final = {"$TargetDedicated": TARGET_DEDICATED, "$TargetLowPriority": TARGET_LOW_PRIORITY}
FULL_NAMES: Final = {full: alias for alias, full in ALIASES.items()}
TARGETS: Final = frozenset({TARGET_DEDICATED, TARGET_LOW_PRIORITY, *ALIASES})
SETTABLE: Final = TARGETS | {DEALLOCATION_OPTION}

DEALLOCATION_OPTIONS: Final = ("requeue", "terminate", "taskcompletion", "retaineddata")
DEFAULT_DEALLOCATION: Final = "requeue"

METRICS: Final = frozenset(
    {
        "$CPUPercent",
        "$WallClockSeconds",
        "$MemoryBytes",
        "$DiskBytes",
        "$DiskReadBytes",
        "$DiskWriteBytes",
        "$DiskReadOps",
        "$DiskWriteOps",
        "$NetworkInBytes",
        "$NetworkOutBytes",
        "$SampleNodeCount",
        "$ActiveTasks",
        "$RunningTasks",
        "$PendingTasks",
        "$SucceededTasks",
        "$FailedTasks",
        "$CurrentDedicatedNodes",
        "$CurrentLowPriorityNodes",
        "$PreemptedNodeCount",
        "$UsableNodeCount",
        # The old names of the two counts, still found in the wild.
        "$CurrentDedicated",
        "$CurrentLowPriority",
    }
)
METRIC_ALIASES: Final = {
    "$CurrentDedicated": "$CurrentDedicatedNodes",
    "$CurrentLowPriority": "$CurrentLowPriorityNodes",
}
READ_ONLY: Final = METRICS | {TASK_SLOTS}
SERVICE_DEFINED: Final = READ_ONLY | SETTABLE

_SECOND = TICKS_PER_SECOND
INTERVALS: Final = {
    "TimeInterval_Zero": Interval(0),
    "TimeInterval_100ns": Interval(1),
    "TimeInterval_Microsecond": Interval(10),
    "TimeInterval_Millisecond": Interval(10_000),
    "TimeInterval_Second": Interval(_SECOND),
    "TimeInterval_Minute": Interval(60 * _SECOND),
    "TimeInterval_Hour": Interval(3600 * _SECOND),
    "TimeInterval_Day": Interval(86_400 * _SECOND),
    "TimeInterval_Week": Interval(7 * 86_400 * _SECOND),
    "TimeInterval_Year": Interval(365 * 86_400 * _SECOND),
}
