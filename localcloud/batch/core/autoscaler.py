"""Samples, and the pools whose size follows a formula.

https://learn.microsoft.com/azure/batch/batch-automatic-scaling: a sample each 30 seconds, readable about a minute
later; a formula is evaluated when it is set and then on its interval.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from localcloud.batch.autoscale import (
    Evaluation,
    Formula,
    FormulaError,
    compile_formula,
    failed_evaluation,
)
from localcloud.batch.core.entities import AutoscaleRun, Pool
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.history import History
from localcloud.batch.core.specs import AUTOSCALE_CEILING, AUTOSCALE_FLOOR
from localcloud.batch.core.states import USABLE, AllocationState, Deallocation, JobState, NodeState
from localcloud.batch.core.world import World

SAMPLE_PERIOD = 30.0
MAX_FORMULA = 8192
MIN_BETWEEN_ENABLES = 30.0

SampleWatcher = Callable[[Pool, float, dict[str, float]], None]

_compiled = lru_cache(maxsize=64)(compile_formula)


class Autoscaler:
    """Measures pools and resizes those that have a formula."""

    def __init__(self, world: World, *, watch: SampleWatcher | None) -> None:
        self._world = world
        self._watch = watch

    def check(self, formula: str | None) -> None:
        """Refuse a formula that cannot be compiled."""
        if formula is None:
            return
        if len(formula.encode()) > MAX_FORMULA:
            raise Refused("AutoScalingFormulaTooLong")
        try:
            _compiled(formula)
        except FormulaError as error:
            raise Refused("AutoScalingFormulaSyntaxError", values=(("Message", str(error)),)) from error

    @staticmethod
    def check_interval(interval: float) -> None:
        if not AUTOSCALE_FLOOR <= interval <= AUTOSCALE_CEILING:
            raise invalid_property(
                "autoScaleEvaluationInterval", f"{interval:g} s", "The interval must be 5 minutes to 168 hours"
            )

    # --- samples ---

    def start_sampling(self, pool: Pool) -> None:
        if pool.samples is None:
            pool.samples = History()
        self._sample(pool)

    def _sample(self, pool: Pool) -> None:
        world = self._world
        if world.pools.get(pool.id.lower()) is not pool or pool.samples is None:
            return
        row = self.metrics(pool)
        pool.samples.record(world.now, row)
        if self._watch is not None:
            self._watch(pool, world.now, row)
        pool.sample_timer = world.timers.at(world.now + SAMPLE_PERIOD, self._sample, pool)

    def metrics(self, pool: Pool) -> dict[str, float]:
        """What Batch measures of a pool, by the names that formulas use. CPU stands for slots in use."""
        running = active = 0
        for job in pool.live_jobs.values():
            running += job.counts.running
            if job.state is JobState.ACTIVE:
                active += job.ready_count
        dedicated = low = preempted = usable = slots = used = 0
        for node in pool.nodes.values():
            dedicated += node.dedicated
            low += not node.dedicated
            preempted += node.state is NodeState.PREEMPTED
            if node.state in USABLE:
                usable += 1
                slots += pool.spec.task_slots_per_node
                used += node.slots_used
        row = {
            "$ActiveTasks": float(active),
            "$RunningTasks": float(running),
            "$PendingTasks": float(active + running),
            "$SucceededTasks": float(pool.succeeded_tasks),
            "$FailedTasks": float(pool.failed_tasks),
            "$CurrentDedicatedNodes": float(dedicated),
            "$CurrentLowPriorityNodes": float(low),
            "$PreemptedNodeCount": float(preempted),
            "$UsableNodeCount": float(usable),
            "$SampleNodeCount": float(usable),
        }
        if usable:
            row["$CPUPercent"] = 100.0 * used / slots
            row["$WallClockSeconds"] = SAMPLE_PERIOD * usable
        return row

    # --- formulas ---

    def enable(self, pool: Pool, formula: str, interval: float) -> None:
        """Set the formula; it is evaluated at once and then each `interval` seconds."""
        self.check(formula)
        self.check_interval(interval)
        pool.formula, pool.interval = formula, interval
        pool.autoscale_held = False
        self._world.revise(pool)
        self._tick(pool)

    def enable_by_request(self, pool_id: str, formula: str | None, interval: float | None) -> None:
        pool = self._world.fleet.active(pool_id)
        if not pool.autoscales:
            if formula is None:
                raise Refused("MissingRequiredProperty", values=(("PropertyName", "autoScaleFormula"),))
            if pool.allocation is not AllocationState.STEADY:
                raise Refused("PoolBeingResized")
        if self._world.now - pool.autoscale_enabled_at < MIN_BETWEEN_ENABLES:
            raise Refused("TooManyEnableAutoScaleRequests")
        text = formula if formula is not None else pool.formula
        if text is not None:
            self.enable(pool, text, pool.interval if interval is None else interval)
            pool.autoscale_enabled_at = self._world.now

    def disable(self, pool_id: str) -> None:
        pool = self._world.fleet.active(pool_id)
        self.stop(pool)
        pool.formula = None
        pool.autoscale_held = False
        self._world.revise(pool)

    def stop(self, pool: Pool) -> None:
        if pool.evaluation is not None:
            pool.evaluation.cancel()
        pool.evaluation = None
        pool.evaluate_at = None

    def arm(self, pool: Pool) -> None:
        if pool.evaluate_at is not None:
            pool.evaluation = self._world.timers.at(pool.evaluate_at, self._tick, pool)

    def evaluate_by_request(self, pool_id: str, formula: str) -> AutoscaleRun:
        """Evaluate without applying. The pool must have autoscale enabled."""
        pool = self._world.fleet.active(pool_id)
        if not pool.autoscales:
            raise Refused(
                "OperationInvalidForCurrentState",
                values=(("Reason", "The pool does not have automatic scaling enabled"),),
            )
        return self._describe(self._evaluate(pool, formula))

    def _tick(self, pool: Pool) -> None:
        world = self._world
        if pool.formula is None:
            return
        self.stop(pool)
        pool.evaluate_at = world.now + pool.interval
        self.arm(pool)
        evaluation = self._evaluate(pool, pool.formula)
        pool.autoscale_run = self._describe(evaluation)
        world.save(pool)
        if evaluation.error is None and not pool.autoscale_held:
            self._apply(pool, evaluation)

    def _apply(self, pool: Pool, evaluation: Evaluation) -> None:
        dedicated, low = evaluation.target_dedicated, evaluation.target_low_priority
        settled = self._staying(pool, dedicated=True) == dedicated and self._staying(pool, dedicated=False) == low
        if settled and (pool.target_dedicated, pool.target_low_priority) == (dedicated, low):
            return
        self._world.fleet.set_targets(pool, dedicated, low, option=Deallocation(evaluation.deallocation_option))

    @staticmethod
    def _staying(pool: Pool, *, dedicated: bool) -> int:
        there = sum(1 for n in pool.nodes.values() if n.dedicated is dedicated and n.leaving is None)
        return there + sum(1 for a in pool.arriving if a.dedicated is dedicated)

    def _evaluate(self, pool: Pool, text: str) -> Evaluation:
        row = self.metrics(pool)
        current = {name: row[name] for name in _CURRENT}
        current["$TargetDedicatedNodes"] = float(pool.target_dedicated)
        current["$TargetLowPriorityNodes"] = float(pool.target_low_priority)
        current["$TaskSlotsPerNode"] = float(pool.spec.task_slots_per_node)
        try:
            formula: Formula = _compiled(text)
        except FormulaError as error:
            return failed_evaluation(error, current)
        now = datetime.fromtimestamp(self._world.now, UTC)
        return formula.evaluate(now=now, samples=pool.samples or History(), current=current)

    def _describe(self, evaluation: Evaluation) -> AutoscaleRun:
        error = evaluation.error
        return AutoscaleRun(
            at=self._world.now,
            results=evaluation.results,
            error=None if error is None else (error.code, error.message, error.detail),
        )


_CURRENT = (
    "$CurrentDedicatedNodes",
    "$CurrentLowPriorityNodes",
    "$PreemptedNodeCount",
    "$UsableNodeCount",
)
