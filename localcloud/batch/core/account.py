"""One Batch account: the door to the state machine. See the package's docstring for how it is driven."""

from collections.abc import Iterator

from localcloud.batch.core.autoscaler import Autoscaler, SampleWatcher
from localcloud.batch.core.dispatcher import Dispatcher
from localcloud.batch.core.effects import Effect, Exit, Failure, NodeRecord
from localcloud.batch.core.entities import AutoscaleRun, Job, Node, Pool, Run, Schedule, Task
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.fleet import Fleet
from localcloud.batch.core.jobs import Jobs
from localcloud.batch.core.nodes import ORDERED_FAILURE, Nodes
from localcloud.batch.core.policies import AllocationGrant, NodeModel, NodeTimes, Quotas
from localcloud.batch.core.recovery import began_unremembered, recover
from localcloud.batch.core.schedules import Schedules
from localcloud.batch.core.specs import JobScheduleSpec, JobSpec, PoolSpec, TaskSpec
from localcloud.batch.core.states import Deallocation, NodeState
from localcloud.batch.core.tasks import Tasks
from localcloud.batch.core.work import Work
from localcloud.batch.core.world import World

_NOT_PREEMPTIBLE = frozenset(
    {NodeState.PREEMPTED, NodeState.LEAVING_POOL, NodeState.DEALLOCATING, NodeState.DEALLOCATED}
)


class Account:
    """Pools, nodes, jobs, tasks and schedules, and the passing of time.

    `now` and all times are seconds since 1970. Operations raise `Refused`. `tracked=True` collects which entities
    changed (for a store); a simulator leaves it off.
    """

    def __init__(
        self,
        *,
        name: str,
        now: float,
        seed: int = 0,
        nodes: NodeModel | None = None,
        quotas: Quotas | None = None,
        watch_samples: SampleWatcher | None = None,
        tracked: bool = False,
    ) -> None:
        world = World(
            name=name, now=now, seed=seed, nodes=nodes or NodeTimes(), quotas=quotas or Quotas(), tracked=tracked
        )
        world.dispatcher = Dispatcher(world)
        world.fleet = Fleet(world)
        world.node_rules = Nodes(world)
        world.work = Work(world)
        world.task_rules = Tasks(world)
        world.job_rules = Jobs(world)
        world.schedule_rules = Schedules(world)
        world.autoscaler = Autoscaler(world, watch=watch_samples)
        self.world = world

    def began_unremembered(self, job_id: str, task_id: str) -> None:
        """After `recover`: a node's files show that this task ran, and no start of it was remembered."""
        began_unremembered(self.world, job_id, task_id)

    def recover(self) -> None:
        """After a store put entities back: set timers and indexes; what was running is lost and runs again."""
        recover(self.world)

    # --- time and effects ---

    @property
    def name(self) -> str:
        return self.world.name

    @property
    def now(self) -> float:
        return self.world.now

    def advance(self, to: float) -> None:
        """Move the clock to `to` and fire what is due on the way. A time before `now` leaves the clock
        alone."""
        world = self.world
        while (timer := world.timers.pop_due(to)) is not None:
            world.now = max(world.now, timer.when)
            timer.fire()
            if world.unsettled:
                world.dispatcher.settle()
        world.now = max(world.now, to)

    def next_event_time(self) -> float | None:
        return self.world.timers.next_time()

    def take_effects(self) -> list[Effect]:
        effects, self.world.effects = self.world.effects, []
        return effects

    def finished(self, run_id: int, end: Exit) -> bool:
        """A run's process is gone. False: the account knows no such run (any more)."""
        run = self.world.runs.pop(run_id, None)
        if run is None:
            return False
        self.world.work.finished(run, end)
        self._settle()
        return True

    def run(self, run_id: int) -> Run | None:
        return self.world.runs.get(run_id)

    def _settle(self) -> None:
        if self.world.unsettled:
            self.world.dispatcher.settle()

    # --- pools ---

    @property
    def pools(self) -> dict[str, Pool]:
        """By id in lower case."""
        return self.world.pools

    def pool(self, pool_id: str) -> Pool:
        return self.world.pool(pool_id)

    def create_pool(self, spec: PoolSpec) -> Pool:
        pool = self.world.fleet.create(spec)
        self._settle()
        return pool

    def update_pool(self, pool_id: str, spec: PoolSpec) -> None:
        """Replace the definition. Sizes and formula are not part of it: see resize and enable_autoscale."""
        pool = self.world.fleet.active(pool_id)
        if spec.task_slots_per_node != pool.spec.task_slots_per_node and pool.nodes:
            raise Refused(
                "OperationInvalidForCurrentState",
                values=(("Reason", "taskSlotsPerNode can be changed only while the pool has no nodes"),),
            )
        pool.spec = spec
        self.world.revise(pool)
        self._settle()

    def delete_pool(self, pool_id: str) -> None:
        self.world.fleet.delete(pool_id)
        self._settle()

    def resize_pool(
        self,
        pool_id: str,
        *,
        dedicated: int | None = None,
        low_priority: int | None = None,
        option: Deallocation = Deallocation.REQUEUE,
        timeout: float = 900.0,
    ) -> None:
        self.world.fleet.resize(pool_id, dedicated=dedicated, low_priority=low_priority, option=option, timeout=timeout)
        self._settle()

    def stop_resize(self, pool_id: str) -> None:
        self.world.fleet.stop_resize(pool_id)
        self._settle()

    def remove_nodes(
        self,
        pool_id: str,
        node_ids: tuple[str, ...],
        *,
        option: Deallocation = Deallocation.REQUEUE,
        timeout: float = 900.0,
    ) -> None:
        self.world.fleet.remove_nodes(pool_id, node_ids, option=option, timeout=timeout)
        self._settle()

    def enable_autoscale(self, pool_id: str, formula: str | None, interval: float | None = None) -> None:
        self.world.autoscaler.enable_by_request(pool_id, formula, interval)
        self._settle()

    def disable_autoscale(self, pool_id: str) -> None:
        self.world.autoscaler.disable(pool_id)

    def evaluate_autoscale(self, pool_id: str, formula: str) -> AutoscaleRun:
        return self.world.autoscaler.evaluate_by_request(pool_id, formula)

    def metrics(self, pool_id: str) -> dict[str, float]:
        return self.world.autoscaler.metrics(self.world.pool(pool_id))

    # --- nodes ---

    def node(self, pool_id: str, node_id: str) -> Node:
        return self.world.node(pool_id, node_id)

    def maintain_node(self, pool_id: str, node_id: str, what: str, option: Deallocation) -> None:
        """`what`: reboot, reimage or deallocate."""
        self.world.node_rules.maintain(self.world.node(pool_id, node_id), what, option)
        self._settle()

    def start_node(self, pool_id: str, node_id: str) -> None:
        self.world.node_rules.start(self.world.node(pool_id, node_id))

    def disable_scheduling(self, pool_id: str, node_id: str, option: Deallocation) -> None:
        self.world.node_rules.disable_scheduling(self.world.node(pool_id, node_id), option)
        self._settle()

    def enable_scheduling(self, pool_id: str, node_id: str) -> None:
        self.world.node_rules.enable_scheduling(self.world.node(pool_id, node_id))
        self._settle()

    def preempt(self, pool_id: str, count: int = 1) -> list[str]:
        """Take the VMs of `count` low-priority nodes away, chosen at random. Returns their ids."""
        pool = self.world.pool(pool_id)
        candidates = [n for n in pool.nodes.values() if not n.dedicated and n.state not in _NOT_PREEMPTIBLE]
        chosen = self.world.rng.sample(candidates, min(count, len(candidates)))
        for node in chosen:
            self.world.node_rules.preempt(node)
        self._settle()
        return [node.id for node in chosen]

    def preempt_node(self, pool_id: str, node_id: str) -> None:
        self.world.node_rules.preempt(self.world.node(pool_id, node_id))
        self._settle()

    def spoil(self, pool_id: str, failure: Failure, count: int = 1) -> list[str]:
        """Make `count` nodes of either kind unusable, the oldest first. Returns their ids."""
        pool = self.world.pool(pool_id)
        fit = [n for n in pool.nodes.values() if n.state not in _NOT_PREEMPTIBLE and n.state is not NodeState.UNUSABLE]
        chosen = fit[:count]
        for node in chosen:
            self.world.node_rules.spoil(node, failure)
        self._settle()
        return [node.id for node in chosen]

    def spoil_node(self, pool_id: str, node_id: str, failure: Failure) -> None:
        self.world.node_rules.spoil(self.world.node(pool_id, node_id), failure)
        self._settle()

    def fail_next_allocations(self, pool_id: str | None, grant: AllocationGrant, times: int = 1) -> None:
        """The next requests for nodes (of one pool, or None: of any) get this answer instead of the
        model's."""
        self.world.fleet.planned.add(pool_id, grant, times)

    def slow_next_boots(self, pool_id: str | None, seconds: float, times: int = 1) -> None:
        self.world.node_rules.slow_boots.add(pool_id, seconds, times)

    def fail_next_start_tasks(self, pool_id: str | None, times: int = 1) -> None:
        self.world.node_rules.failing_start_tasks.add(pool_id, ORDERED_FAILURE, times)

    def node_records(self, pool_id: str | None = None) -> Iterator[NodeRecord]:
        """The nodes that are there now, as the bill sees them. Those that left came as `NodeGone`."""
        pools = self.world.pools.values() if pool_id is None else (self.world.pool(pool_id),)
        for pool in pools:
            for node in pool.nodes.values():
                yield node.record(self.world.now, removed=False)

    # --- jobs ---

    @property
    def jobs(self) -> dict[str, Job]:
        """By id in lower case."""
        return self.world.jobs

    def job(self, job_id: str) -> Job:
        return self.world.job(job_id)

    def create_job(self, spec: JobSpec) -> Job:
        job = self.world.job_rules.create(spec)
        self._settle()
        return job

    def update_job(self, job_id: str, spec: JobSpec) -> None:
        self.world.job_rules.update(self.world.job(job_id), spec)
        self._settle()

    def disable_job(self, job_id: str, option: str) -> None:
        self.world.job_rules.disable(self.world.job(job_id), option)
        self._settle()

    def enable_job(self, job_id: str) -> None:
        self.world.job_rules.enable(self.world.job(job_id))
        self._settle()

    def terminate_job(self, job_id: str, reason: str | None = None) -> None:
        self.world.job_rules.terminate(self.world.job(job_id), reason)
        self._settle()

    def delete_job(self, job_id: str) -> None:
        self.world.job_rules.delete(self.world.job(job_id))
        self._settle()

    # --- tasks ---

    def task(self, job_id: str, task_id: str) -> Task:
        return self.world.task(job_id, task_id)

    def add_task(self, job_id: str, spec: TaskSpec) -> Task:
        task = self.world.task_rules.add(self.world.job(job_id), spec)
        self._settle()
        return task

    def terminate_task(self, job_id: str, task_id: str) -> None:
        self.world.task_rules.terminate(self.world.task(job_id, task_id))
        self._settle()

    def delete_task(self, job_id: str, task_id: str) -> None:
        self.world.task_rules.delete(self.world.task(job_id, task_id))
        self._settle()

    def reactivate_task(self, job_id: str, task_id: str) -> None:
        self.world.task_rules.reactivate(self.world.task(job_id, task_id))
        self._settle()

    def update_task(self, job_id: str, task_id: str, spec: TaskSpec) -> None:
        self.world.task_rules.change_constraints(self.world.task(job_id, task_id), spec)

    # --- schedules ---

    @property
    def schedules(self) -> dict[str, Schedule]:
        """By id in lower case."""
        return self.world.schedules

    def schedule(self, schedule_id: str) -> Schedule:
        return self.world.schedule_rules.get(schedule_id)

    def create_schedule(self, spec: JobScheduleSpec) -> Schedule:
        schedule = self.world.schedule_rules.create(spec)
        self._settle()
        return schedule

    def update_schedule(self, schedule_id: str, spec: JobScheduleSpec) -> None:
        self.world.schedule_rules.update(self.schedule(schedule_id), spec)
        self._settle()

    def disable_schedule(self, schedule_id: str) -> None:
        self.world.schedule_rules.disable(self.schedule(schedule_id))

    def enable_schedule(self, schedule_id: str) -> None:
        self.world.schedule_rules.enable(self.schedule(schedule_id))
        self._settle()

    def terminate_schedule(self, schedule_id: str) -> None:
        self.world.schedule_rules.terminate(self.schedule(schedule_id))
        self._settle()

    def delete_schedule(self, schedule_id: str) -> None:
        self.world.schedule_rules.delete(self.schedule(schedule_id))
        self._settle()
