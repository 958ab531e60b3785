"""What no formula can beat: a clairvoyant that knows every arrival, and how long each task takes, beforehand.

Two bounds, one for each measure; a single schedule need not reach both.

- **Wait**: all nodes that the quotas allow, of both kinds, are there all the time and are never preempted. Tasks run in
  the order in which they come. (The same core runs it, so dispatch and the tasks' own start count, as for everyone.)
- **Cost**: each second of work is paid once, at the Spot price, on nodes that are never idle; and a node must boot, in
  the shortest time that is possible: once, and once more across each time that is longer than `LONGEST_WAIT` without
  work to do - unless keeping a node through it would be cheaper. Any schedule pays this that leaves no task waiting
  longer than `LONGEST_WAIT`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from darkroom.simulate.model import HOUR, Machines, Prices, Work
from darkroom.simulate.result import summarise
from darkroom.simulate.run import run
from darkroom.simulate.sealing import Manifest, seal
from darkroom.simulate.traces import Trace

LONGEST_WAIT = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The least p95 wait in seconds, and the least cost."""

    p95: float
    cost: float


def bound(trace: Trace, *, seed: int, work: Work, machines: Machines, prices: Prices) -> Bound:
    """The clairvoyant's figures for a trace."""
    ideal = replace(machines, allocation=(0, 0), creating=(0, 0), starting=(0, 0), start_task=(0, 0))
    ideal = replace(ideal, preemptions_per_hour=0.0)
    always = f"$TargetLowPriorityNodes = {machines.cap}; $TargetDedicatedNodes = {machines.cap};"
    raw = run(replace(trace, storms=()), always, seed=seed, work=work, machines=ideal)
    result = summarise(
        raw,
        trace=trace.name,
        formula="clairvoyant",
        seed=seed,
        last_arrival=trace.arrivals[-1],
        prices=prices,
        slots=work.slots,
    )
    seconds = paid_seconds(seal(trace.arrivals, work, seed=seed), work, machines)
    return Bound(p95=result.p95, cost=seconds / HOUR * prices.spot)


def paid_seconds(manifests: Iterable[Manifest], work: Work, machines: Machines) -> float:
    """The least node-seconds that any schedule pays for these tasks."""
    boot = machines.creating[0] + machines.starting[0] + machines.start_task[0]
    paid, before = boot, None
    for manifest in manifests:
        seconds = work.startup + manifest.seconds
        paid += seconds / work.slots
        if before is not None:
            paid += min(boot, max(0.0, manifest.added_at - before - LONGEST_WAIT))
        before = manifest.added_at + seconds
    return paid
