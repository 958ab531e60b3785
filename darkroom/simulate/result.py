"""The figures of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.simulate.model import HOUR, Prices
from darkroom.simulate.run import START, Raw
from localcloud.batch.core import NodeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Waits are seconds from an image's arrival to its PNG; infinite where work was never done.

    `utilisation`: slot-seconds used of those billed. `idle_hours` and `booting_hours`: billed, and no task ran.
    """

    trace: str
    formula: str
    seed: int
    images: int
    undone: int
    p50: float
    p95: float
    longest: float
    drain_seconds: float
    """From the last arrival to the last PNG."""
    node_hours: float
    dedicated_hours: float
    utilisation: float
    idle_hours: float
    booting_hours: float
    redone_seconds: float
    interrupted_tasks: int
    failed_evaluations: int
    cost: float
    cost_per_1000: float


def summarise(
    raw: Raw, *, trace: str, formula: str, seed: int, last_arrival: float, prices: Prices, slots: int
) -> Result:
    """The figures of what a run left."""
    waits = sorted(raw.waits)
    images = len(waits) + raw.undone
    spot, dedicated = _hours(raw, dedicated=False), _hours(raw, dedicated=True)
    busy = sum(node.busy_seconds for node in raw.nodes) / HOUR
    used = sum(node.slot_seconds for node in raw.nodes) / HOUR / slots
    booting = sum(_booting(node, raw.ended_at) for node in raw.nodes) / HOUR
    cost = spot * prices.spot + dedicated * prices.dedicated
    total = spot + dedicated
    return Result(
        trace=trace,
        formula=formula,
        seed=seed,
        images=images,
        undone=raw.undone,
        p50=_rank(waits, images, 50),
        p95=_rank(waits, images, 95),
        longest=_rank(waits, images, 100),
        drain_seconds=max(0.0, raw.last_png_at - last_arrival) if not raw.undone else math.inf,
        node_hours=total,
        dedicated_hours=dedicated,
        utilisation=used / total if total else 0.0,
        idle_hours=max(0.0, total - busy - booting),
        booting_hours=booting,
        redone_seconds=raw.redone_seconds,
        interrupted_tasks=raw.interrupted_tasks,
        failed_evaluations=raw.failed_evaluations,
        cost=cost,
        cost_per_1000=cost / images * 1000 if images else 0.0,
    )


def _rank(ordered: Sequence[float], images: int, percent: float) -> float:
    """Nearest rank among all images; those that were never done wait for ever."""
    at = max(1, math.ceil(images * percent / 100)) - 1
    return ordered[at] if at < len(ordered) else math.inf


def billed_seconds(node: NodeRecord, ended_at: float) -> float:
    """From allocation to removal, without the time in which the VM was gone."""
    end = ended_at + START if node.removed_at is None else node.removed_at
    return max(0.0, end - node.allocated_at - node.preempted_seconds)


def _hours(raw: Raw, *, dedicated: bool) -> float:
    return sum(billed_seconds(node, raw.ended_at) for node in raw.nodes if node.dedicated is dedicated) / HOUR


def _booting(node: NodeRecord, ended_at: float) -> float:
    """A node that was preempted boots again; that time counts as idle here."""
    if node.usable_at is None:
        return billed_seconds(node, ended_at)
    return node.usable_at - node.allocated_at
