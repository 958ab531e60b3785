"""The pool's autoscale formula: built here and nowhere else, from the pool's settings.

A formula is a text in Azure Batch's own language (https://learn.microsoft.com/azure/batch/batch-automatic-scaling); the
lines and the numbers are explained, with the simulations that chose them, in `docs/autoscale.md`.
"""

from __future__ import annotations

from shared.app_settings import PoolSettings

MAX_BYTES = 8192
"""What Batch takes as a formula."""

# Spans of time, as Batch's time frames: minutes back from now, the nearer end first.
_FRESH = "TimeInterval_Minute * 3"
_HOUR = "TimeInterval_Minute * 10, TimeInterval_Minute * 70"
_BEFORE = "TimeInterval_Minute * 20, TimeInterval_Minute * 35"


def build_formula(settings: PoolSettings) -> str:
    """The formula for these settings: at most `max_nodes` nodes, `slots_per_node` tasks each.

    A pure function: the same settings give the same text, so that a pool whose formula differs is out of step.
    """
    lines = [
        *_inputs(settings),
        *_demand(),
        *_growth(settings),
        *_patience(settings),
        *_targets(settings),
    ]
    return "\n".join(lines) + "\n"


def _inputs(settings: PoolSettings) -> list[str]:
    return [
        "// Built from Darkroom's settings, and put back by dispatch when it is changed here.",
        f"cap = {settings.max_nodes};",
        f"slots = {settings.slots_per_node};",
        "before = $TargetDedicatedNodes + $TargetLowPriorityNodes;",
        "// Without fresh samples the pool stays as it is: no sample is no sign of no work.",
        f"fresh = $PendingTasks.GetSamplePercent({_FRESH}) >= 50;",
        "pending = fresh ? max(0, $PendingTasks.GetSample(1)) : before * slots;",
        "waiting = fresh ? max(0, $ActiveTasks.GetSample(1)) : before * slots;",
    ]


def _demand() -> list[str]:
    """A node that works goes only when its tasks are done; so where no more work is expected, only waiting tasks need
    nodes. Where work keeps coming, running ones count too, for their nodes are wanted again."""
    running, active = f"$RunningTasks.GetSample({_HOUR}, 20)", f"$ActiveTasks.GetSample({_HOUR}, 20)"
    return [
        "// Steady: for some of the last hour tasks ran and none waited. Then nodes for all tasks, else for waiting.",
        f"share = $RunningTasks.GetSamplePercent({_HOUR});",
        f"known = share >= 20 && $ActiveTasks.GetSamplePercent({_HOUR}) == share;",
        f"kept_up = known ? avg({running} / ({running} + {active} * 10 + 0.01)) : 0;",
        "steady = kept_up > 0.05;",
        "tasks = steady ? pending : waiting;",
        "nodes = (tasks + slots - 1) / slots;",
    ]


def _growth(settings: PoolSettings) -> list[str]:
    if not settings.burst_nodes:
        return []
    return ["// Grow by steps.", f"nodes = min(nodes, before + {settings.burst_nodes});"]


def _patience(settings: PoolSettings) -> list[str]:
    """One node stays warm after the last work, where work comes again and again; a lone image does not hold a node."""
    if not settings.scale_down_patience:
        return []
    patience = f"TimeInterval_Minute * {settings.scale_down_patience}"
    return [
        "// One node stays for a while where work comes again and again: it came and went before, or it is steady.",
        f"seen = $PendingTasks.GetSamplePercent({_BEFORE}) >= 50;",
        f"most = seen ? max($PendingTasks.GetSample({_BEFORE}, 50)) : 0;",
        f"least = seen ? min($PendingTasks.GetSample({_BEFORE}, 50)) : 0;",
        f"some = $PendingTasks.GetSamplePercent({patience}) >= 1;",
        f"lately = some ? max($PendingTasks.GetSample({patience}, 1)) : 0;",
        "again = lately > 0 && (steady || (most > 0 && least == 0));",
        "nodes = again ? max(nodes, min(before, 1)) : nodes;",
    ]


def _targets(settings: PoolSettings) -> list[str]:
    return [
        "// Preempted Spot nodes are still counted by Batch and do no work: ask for as many more, up to the cap.",
        "lost = fresh && nodes >= 1 ? max(0, $PreemptedNodeCount.GetSample(1)) : 0;",
        "nodes = max(0, min(cap, nodes + lost));",
        *_dedicated(settings),
        "$TargetDedicatedNodes = dedicated;",
        "$TargetLowPriorityNodes = max(0, nodes - dedicated);",
        "// A node goes when its tasks are done, never in the middle of them.",
        "$NodeDeallocationOption = taskcompletion;",
    ]


def _dedicated(settings: PoolSettings) -> list[str]:
    """Whole numbers: `nodes` may be a fraction, which Batch cuts off, and the two targets must not lose a node each."""
    floor = min(settings.dedicated_nodes, settings.max_nodes)
    extra = " + lost" if settings.spill_over else ""
    if not floor and not extra:
        return ["dedicated = 0;"]
    comment = ["// Dedicated nodes stand in for preempted ones."] if settings.spill_over else []
    return [*comment, f"dedicated = min(nodes, {floor}{extra});"]
