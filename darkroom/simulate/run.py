"""One run: a trace, a formula, a seed, on the core of the local Batch service."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from darkroom.simulate.machines import SimulatedMachines
from darkroom.simulate.model import Machines, Storm, Work
from darkroom.simulate.sealing import Manifest, seal
from darkroom.simulate.traces import DAY, Trace
from localcloud.batch.core import (
    Account,
    CommandSpec,
    Exit,
    JobSpec,
    Launch,
    NodeGone,
    NodeRecord,
    PoolSpec,
    Quotas,
    StartTaskSpec,
    Stop,
    TaskSpec,
)
from localcloud.batch.core.entities import Pool, Run

START = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
"""Seconds since 1970 of a trace's zero: a Monday, midnight UTC."""

WARM_UP = 3600.0
"""The pool is created about so long before: its grid of samples has no special place in the minute."""

PATIENCE = DAY
"""So long after the trace's end a run goes on where work is left; then that work counts as never done."""

_COMMAND = CommandSpec(command_line="worker")
POOL, JOB = "pool", "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a 30-second sample saw. Nodes by what they are: usable ones do work, or could."""

    at: float
    active: float
    running: float
    spot: float
    dedicated: float
    usable: float
    preempted: float


@dataclass(slots=True, kw_only=True)
class Raw:
    """What a run leaves. `waits` has one entry an image that became a PNG: seconds from arrival to PNG."""

    waits: array[float] = field(default_factory=lambda: array("d"))
    nodes: list[NodeRecord] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    redone_seconds: float = 0.0
    interrupted_tasks: int = 0
    failed_evaluations: int = 0
    last_png_at: float = 0.0
    ended_at: float = 0.0
    undone: int = 0


def run(
    trace: Trace,
    formula: str,
    *,
    seed: int,
    work: Work,
    machines: Machines,
    interval: float = 300.0,
    pool_age: float | None = None,
) -> Raw:
    """Simulate. Times in the result are seconds from the trace's start. Raises Refused for a formula that is wrong.

    `pool_age`: seconds by which the pool is older than the trace; else about `WARM_UP`, drawn from the seed.
    """
    if pool_age is None:
        pool_age = WARM_UP - Random(f"phase-{seed}").uniform(0, 60)
    pool = PoolSpec(
        id=POOL,
        cores_per_node=work.cores,
        task_slots_per_node=work.slots,
        autoscale_formula=formula,
        autoscale_interval=interval,
        start_task=StartTaskSpec(command=_COMMAND),
    )
    return _Simulation(trace, pool, seed=seed, work=work, machines=machines, created=START - pool_age).go()


@dataclass(slots=True)
class _Progress:
    """How far a manifest is: images done, and the present run's start."""

    manifest: Manifest
    done: int = 0
    started_at: float = 0.0


class _Simulation:
    """The driver of one account: a heap of what happens outside of it, beside the account's own timers."""

    def __init__(
        self, trace: Trace, pool: PoolSpec, *, seed: int, work: Work, machines: Machines, created: float
    ) -> None:
        self._trace, self._work, self._machines = trace, work, machines
        self._raw = Raw()
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._sequence = 0
        self._manifests = {m.id: _Progress(m) for m in seal(trace.arrivals, work, seed=seed)}
        self._open = len(self._manifests)
        quota = machines.cap * work.cores
        self._account = Account(
            name="simulated",
            now=created,
            seed=seed,
            nodes=SimulatedMachines(machines, trace.storms, start=START),
            quotas=Quotas(low_priority_cores=quota, dedicated_cores=quota),
            watch_samples=self._watch,
        )
        self._account.create_pool(pool)
        self._account.create_job(JobSpec(id=JOB, pool_id=POOL))

    def go(self) -> Raw:
        for progress in self._manifests.values():
            self._at(START + progress.manifest.added_at, self._submission(progress.manifest))
        for storm in self._trace.storms:
            self._at(START + storm.at, self._storm(storm))
        end, give_up = START + self._trace.length, START + self._trace.length + PATIENCE
        self._pass_time(end)
        while self._open and self._account.now < give_up:
            self._pass_time(min(self._account.now + 300.0, give_up))
        return self._conclude()

    def _conclude(self) -> Raw:
        raw = self._raw
        raw.ended_at = self._account.now - START
        raw.nodes += self._account.node_records(POOL)
        raw.undone = sum(p.manifest.images - p.done for p in self._manifests.values())
        return raw

    # --- time ---

    def _at(self, when: float, action: Callable[[], object]) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, action))

    def _pass_time(self, end: float) -> None:
        account, heap = self._account, self._heap
        self._carry_out()
        while True:
            due = account.next_event_time()
            if heap and heap[0][0] <= end and (due is None or heap[0][0] <= due):
                when, _, action = heapq.heappop(heap)
                account.advance(when)
                action()
            elif due is not None and due <= end:
                account.advance(due)
            else:
                break
            self._carry_out()
        account.advance(end)

    def _carry_out(self) -> None:
        while effects := self._account.take_effects():
            for effect in effects:
                match effect:
                    case Launch(run):
                        self._launch(run)
                    case Stop(run_id):
                        self._stop(run_id)
                    case NodeGone(record=NodeRecord() as record):
                        self._raw.nodes.append(record)

    # --- what happens ---

    def _submission(self, manifest: Manifest) -> Callable[[], object]:
        spec = TaskSpec(id=manifest.id, command=_COMMAND)
        return lambda: self._account.add_task(JOB, spec)

    def _storm(self, storm: Storm) -> Callable[[], object]:
        def strike() -> None:
            spot = sum(1 for node in self._account.pool(POOL).nodes.values() if not node.dedicated)
            self._account.preempt(POOL, round(spot * storm.share))

        return strike

    def _launch(self, run: Run) -> None:
        now = self._account.now
        if run.task is None:
            seconds = self._account.world.rng.uniform(*self._machines.start_task)
            self._at(now + seconds, lambda: self._account.finished(run.id, Exit()))
            return
        progress = self._manifests[run.task.id]
        progress.started_at = now
        self._at(now + self._work.startup + self._left(progress), lambda: self._end(run))

    def _left(self, progress: _Progress) -> float:
        manifest = progress.manifest
        return manifest.seconds * (manifest.images - progress.done) / manifest.images

    def _end(self, run: Run) -> None:
        """The natural end of a run, unless it was stopped before."""
        if self._account.run(run.id) is None or run.task is None:
            return
        progress = self._manifests[run.task.id]
        self._convert(progress, progress.manifest.images - progress.done)
        self._open -= 1
        self._account.finished(run.id, Exit())

    def _stop(self, run_id: int) -> None:
        run = self._account.run(run_id)
        if run is not None and run.task is not None:
            progress = self._manifests[run.task.id]
            manifest = progress.manifest
            each = manifest.seconds / manifest.images
            worked = max(0.0, self._account.now - progress.started_at - self._work.startup)
            images = min(int(worked / each), manifest.images - progress.done)
            self._raw.redone_seconds += self._account.now - progress.started_at - images * each
            self._raw.interrupted_tasks += 1
            self._convert(progress, images)
        self._account.finished(run_id, Exit(code=-15))

    def _convert(self, progress: _Progress, images: int) -> None:
        """The next `images` of a manifest became PNGs in this run, evenly over its time."""
        manifest, arrivals = progress.manifest, self._trace.arrivals
        each = manifest.seconds / manifest.images
        at = progress.started_at - START + self._work.startup
        first = manifest.first + progress.done
        for index in range(first, first + images):
            at += each
            self._raw.waits.append(at - arrivals[index])
        progress.done += images
        self._raw.last_png_at = max(self._raw.last_png_at, at)

    def _watch(self, pool: Pool, now: float, row: dict[str, float]) -> None:
        self._raw.samples.append(
            Sample(
                at=now - START,
                active=row["$ActiveTasks"],
                running=row["$RunningTasks"],
                spot=row["$CurrentLowPriorityNodes"],
                dedicated=row["$CurrentDedicatedNodes"],
                usable=row["$UsableNodeCount"],
                preempted=row["$PreemptedNodeCount"],
            )
        )
        last = pool.autoscale_run
        if last is not None and last.at == now and last.error is not None:
            self._raw.failed_evaluations += 1
