"""The things an account holds: pools, nodes, jobs, tasks, schedules, runs. State only; the rules are next
door."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.batch.core.effects import Failure, NodeRecord
from localcloud.batch.core.specs import FOREVER, JobScheduleSpec, JobSpec, PoolSpec, TaskSpec
from localcloud.batch.core.states import (
    USABLE,
    AllocationState,
    Deallocation,
    JobState,
    NodeState,
    PoolState,
    RunKind,
    ScheduleState,
    TaskState,
)

if TYPE_CHECKING:
    from localcloud.batch.autoscale import SampleStore
    from localcloud.batch.core.timers import Timer


@dataclass(slots=True, kw_only=True, eq=False)
class Revision:
    """What ETag and Last-Modified are made of. `number` is unique in the account."""

    created_at: float
    modified_at: float
    number: int


@dataclass(slots=True, kw_only=True, eq=False)
class Execution:
    """How often and when something ran. Times are seconds since 1970."""

    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    failure: Failure | None = None
    retries: int = 0
    last_retry_at: float | None = None
    requeues: int = 0
    last_requeue_at: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.ended_at is not None and self.failure is None


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """One execution of one command line on one node. `stop` says what becomes of it once its process is
    gone."""

    id: int
    kind: RunKind
    node: "Node"
    job: "Job | None" = None
    task: "Task | None" = None
    slots: int = 0
    launched: bool = False
    stop: "StopReason | None" = None
    deadline: "Timer | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReason:
    """Requeue the task, or complete it with `failure`."""

    requeue: bool
    failure: Failure | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Preparation:
    """A job's preparation and release task on one node."""

    job_id: str
    execution: Execution = field(default_factory=Execution)
    state: str = "running"  # running | completed
    release: Execution | None = None
    release_state: str = "running"
    waiting: list[Run] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return self.state == "completed" and self.execution.succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentTask:
    job_id: str
    task_id: str


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A compute node. `serial` orders nodes by age; `leaving` is set from the moment it must go."""

    id: str
    pool: "Pool"
    serial: int
    dedicated: bool
    state: NodeState
    state_at: float
    allocated_at: float
    booted_at: float
    address: str
    slots_free: int = 0
    scheduling: bool = True
    leaving: Deallocation | None = None
    pending: str | None = None  # reboot | reimage | deallocate | offline, once its tasks are gone
    runs: dict[int, Run] = field(default_factory=dict)
    start_task: Execution | None = None
    start_task_state: str = "running"
    start_run: Run | None = None
    preparations: dict[str, Preparation] = field(default_factory=dict)
    tasks_run: int = 0
    tasks_succeeded: int = 0
    recent: deque[RecentTask] = field(default_factory=lambda: deque(maxlen=10))
    errors: list[Failure] = field(default_factory=list)
    users: dict[str, bool] = field(default_factory=dict)
    bucket: int = 0
    phase: "Timer | None" = None
    doom: "Timer | None" = None
    phase_at: float | None = None
    doom_at: float | None = None
    retained_until: float = 0.0
    usable_at: float | None = None
    busy_since: float | None = None
    busy_seconds: float = 0.0
    slots_since: float = 0.0
    slot_seconds: float = 0.0
    preempted_seconds: float = 0.0

    @property
    def slots_used(self) -> int:
        return self.pool.spec.task_slots_per_node - self.slots_free

    @property
    def takes_tasks(self) -> bool:
        return self.state in USABLE and self.scheduling and self.leaving is None and self.pending is None

    def record(self, now: float, *, removed: bool) -> NodeRecord:
        busy = self.busy_seconds + (0.0 if self.busy_since is None else now - self.busy_since)
        preempted = self.preempted_seconds
        if self.state is NodeState.PREEMPTED:
            preempted += now - self.state_at
        return NodeRecord(
            pool_id=self.pool.id,
            node_id=self.id,
            dedicated=self.dedicated,
            allocated_at=self.allocated_at,
            usable_at=self.usable_at,
            removed_at=now if removed else None,
            busy_seconds=busy,
            slot_seconds=self.slot_seconds + self.slots_used * (now - self.slots_since),
            preempted_seconds=preempted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscaleRun:
    """The last evaluation of a pool's formula: Batch's `autoScaleRun`. `error` is (code, message, detail)."""

    at: float
    results: str
    error: tuple[str, str, str] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Allocation:
    """A node that was granted and appears at `at`."""

    at: float
    dedicated: bool
    timer: "Timer | None" = None


@dataclass(slots=True, kw_only=True, eq=False)
class Pool:
    """A pool. `current_*` counts all nodes that are there, whatever their state, as Batch does."""

    spec: PoolSpec
    revision: Revision
    state: PoolState
    state_at: float
    allocation_at: float
    allocation: AllocationState = AllocationState.STEADY
    target_dedicated: int = 0
    target_low_priority: int = 0
    formula: str | None = None
    interval: float = 900.0
    evaluate_at: float | None = None
    autoscale_run: AutoscaleRun | None = None
    autoscale_enabled_at: float = float("-inf")
    autoscale_held: bool = False
    deallocation: Deallocation = Deallocation.REQUEUE
    resize_deadline_at: float | None = None
    resize_errors: list[tuple[str, str]] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    arriving: list[Allocation] = field(default_factory=list)
    free: dict[int, dict[str, Node]] = field(default_factory=dict)
    live_jobs: "dict[str, Job]" = field(default_factory=dict)
    ready_jobs: "dict[int, dict[str, Job]]" = field(default_factory=dict)
    samples: "SampleStore | None" = None
    sample_timer: "Timer | None" = None
    evaluation: "Timer | None" = None
    resize_deadline: "Timer | None" = None
    auto_for: str | None = None
    succeeded_tasks: int = 0
    failed_tasks: int = 0
    sampled_busy: float = 0.0

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def autoscales(self) -> bool:
        return self.formula is not None

    def current(self, *, dedicated: bool) -> int:
        return sum(1 for node in self.nodes.values() if node.dedicated is dedicated)

    def node_counts(self, *, dedicated: bool) -> Mapping[NodeState, int]:
        counts = dict.fromkeys(NodeState, 0)
        for node in self.nodes.values():
            if node.dedicated is dedicated:
                counts[node.state] += 1
        return counts


@dataclass(slots=True)
class Counts:
    """Tasks of a job by state; the same once more in slots."""

    active: int = 0
    running: int = 0
    completed: int = 0
    succeeded: int = 0
    failed: int = 0

    def add(self, state: TaskState, amount: int, *, succeeded: bool) -> None:
        match state:
            case TaskState.ACTIVE:
                self.active += amount
            case TaskState.PREPARING | TaskState.RUNNING:
                self.running += amount
            case TaskState.COMPLETED:
                self.completed += amount
                if succeeded:
                    self.succeeded += amount
                else:
                    self.failed += amount


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A task. `seq` orders the tasks of a job by age; `blockers` counts dependencies that are not satisfied
    yet."""

    spec: TaskSpec
    job: "Job"
    seq: int
    revision: Revision
    state_at: float
    state: TaskState = TaskState.ACTIVE
    previous_state: TaskState | None = None
    previous_state_at: float | None = None
    execution: Execution = field(default_factory=Execution)
    ever_ran: bool = False
    blockers: int = 0
    queued: bool = False
    run: Run | None = None
    max_retries: int = 0
    node_id: str | None = None
    node_pool_id: str | None = None
    expires_at: float | None = None
    files_gone: bool = False
    satisfies: bool | None = None
    ending: Failure | None = None  # its end was asked for and acknowledged; its process may still be going

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def slots(self) -> int:
        return self.spec.required_slots


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A job. `ready` holds, per number of required slots, the tasks that could run now."""

    spec: JobSpec
    seq: int
    revision: Revision
    state_at: float
    pool_id: str
    state: JobState = JobState.ACTIVE
    previous_state: JobState | None = None
    previous_state_at: float | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    terminate_reason: str | None = None
    scheduling_error: Failure | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    slot_counts: Counts = field(default_factory=Counts)
    ready: dict[int, deque[Task]] = field(default_factory=dict)
    ready_count: int = 0
    runs: dict[int, Run] = field(default_factory=dict)
    waiters: dict[str, list[Task]] = field(default_factory=dict)
    range_waiters: list[tuple[int, int, set[int], Task]] = field(default_factory=list)
    next_seq: int = 0
    schedule_id: str | None = None
    auto_pool_id: str | None = None
    deadline: "Timer | None" = None
    after: JobState | None = None  # where terminating and deleting lead once the release tasks have run
    prepared_nodes: dict[str, Node] = field(default_factory=dict)
    past_preparations: dict[str, tuple[str, Preparation]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def deadline_at(self) -> float | None:
        return None if self.spec.max_wall_clock >= FOREVER else self.started_at + self.spec.max_wall_clock


@dataclass(slots=True, kw_only=True, eq=False)
class Schedule:
    """A job schedule and the job it made last."""

    spec: JobScheduleSpec
    revision: Revision
    state_at: float
    state: ScheduleState = ScheduleState.ACTIVE
    previous_state: ScheduleState | None = None
    previous_state_at: float | None = None
    next_run_at: float | None = None
    recent_job: str | None = None
    ended_at: float | None = None
    made: int = 0
    auto_pool_id: str | None = None
    timer: "Timer | None" = None

    @property
    def id(self) -> str:
        return self.spec.id
