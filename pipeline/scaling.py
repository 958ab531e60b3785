"""The pool's autoscale formula: built here and nowhere else, from the pool's settings.

A formula is a text in Azure Batch's own language (https://learn.microsoft.com/azure/batch/batch-automatic-scaling); the
lines and the numbers are explained, with the simulations that chose them, in `docs/autoscale.md`.
"""

from __future__ import annotations

from shared.app_settings import PoolSettings

MAX_BYTES = 8192
"""What Batch takes as a formula."""

FRESH_MINUTES = 3
"""The demand is the highest count of pending tasks in this time: one late or lost sample must not hide work."""

ENOUGH_PERCENT = 50
"""With fewer of the recent samples than this the pool stays as it is: no sample is no sign of no work."""


def build_formula(settings: PoolSettings) -> str:
    """The formula for these settings: at most `max_nodes` nodes, `slots_per_node` tasks each.

    A pure function: the same settings give the same text, so that a pool whose formula differs is out of step.
    """
    return "\n".join([*_inputs(settings), *_demand(settings), *_patience(settings), *_targets(settings)]) + "\n"


def _inputs(settings: PoolSettings) -> list[str]:
    return [
        "// Built from Darkroom's settings, and put back by dispatch when it is changed here.",
        f"cap = {settings.max_nodes};",
        f"slots = {settings.slots_per_node};",
        "before = $TargetDedicatedNodes + $TargetLowPriorityNodes;",
    ]


def _demand(settings: PoolSettings) -> list[str]:
    lines = [
        "// Nodes for the tasks that wait or run, rounded up. Too few samples: as many as before.",
        f"recent = TimeInterval_Minute * {FRESH_MINUTES};",
        f"known = $PendingTasks.GetSamplePercent(recent) >= {ENOUGH_PERCENT};",
        f"tasks = known ? max($PendingTasks.GetSample(recent, {ENOUGH_PERCENT})) : before * slots;",
        "nodes = (tasks + slots - 1) / slots;",
    ]
    if settings.burst_nodes:
        lines += ["// Grow by steps.", f"nodes = min(nodes, before + {settings.burst_nodes});"]
    return lines


def _patience(settings: PoolSettings) -> list[str]:
    """One node stays warm for a while after the last work, so that the next image need not wait for a boot."""
    if settings.scale_down_patience <= FRESH_MINUTES:
        return []
    return [
        "// One node stays while there was work a short time ago.",
        f"patience = TimeInterval_Minute * {settings.scale_down_patience};",
        "seen = $PendingTasks.GetSamplePercent(patience) >= 1;",
        "worked = (seen ? max($PendingTasks.GetSample(patience, 1)) : tasks) > 0;",
        "nodes = worked ? max(nodes, min(before, 1)) : nodes;",
    ]


def _targets(settings: PoolSettings) -> list[str]:
    lines = ["nodes = max(0, min(cap, nodes));", *_dedicated(settings)]
    lines += [
        "$TargetDedicatedNodes = dedicated;",
        "$TargetLowPriorityNodes = max(0, nodes - dedicated);",
        "// A node goes when its tasks are done, never in the middle of them.",
        "$NodeDeallocationOption = taskcompletion;",
    ]
    return lines


def _dedicated(settings: PoolSettings) -> list[str]:
    """Whole numbers: `nodes` may be a fraction, which Batch cuts off, and the two targets must not lose a node each."""
    floor = min(settings.dedicated_nodes, settings.max_nodes)
    lines = [f"dedicated = nodes >= {floor} ? {floor} : nodes;" if floor else "dedicated = 0;"]
    if settings.spill_over:
        lines += [
            "// Preempted Spot nodes are still counted by Batch and do no work: dedicated ones stand in for them.",
            "preempted = tasks > 0 ? max(0, $PreemptedNodeCount.GetSample(1)) : 0;",
            "dedicated = min(nodes, dedicated + preempted);",
        ]
    return lines
