"""Entities as plain data and back. Specs are not here: they are kept as the JSON that the wire read them from."""

from collections import deque
from typing import Any, TypeVar

from localcloud.batch.core.effects import Failure
from localcloud.batch.core.entities import (
    Allocation,
    AutoscaleRun,
    Execution,
    Job,
    Node,
    Pool,
    Preparation,
    RecentTask,
    Revision,
    Schedule,
    Task,
)
from localcloud.batch.core.specs import JobScheduleSpec, JobSpec, PoolSpec, TaskSpec
from localcloud.batch.core.states import (
    AllocationState,
    Deallocation,
    JobState,
    NodeState,
    PoolState,
    ScheduleState,
    TaskState,
)

Record = dict[str, Any]
T = TypeVar("T", Pool, Node, Job, Task, Schedule)


def _pick(entity: object, names: tuple[str, ...]) -> Record:
    return {name: getattr(entity, name) for name in names}


def _failure(failure: Failure | None) -> list[Any] | None:
    if failure is None:
        return None
    return [failure.category, failure.code, failure.message, failure.details]


def _read_failure(data: list[Any] | None) -> Failure | None:
    if data is None:
        return None
    details = tuple((name, value) for name, value in data[3])
    return Failure(category=data[0], code=data[1], message=data[2], details=details)


_EXECUTION = ("started_at", "ended_at", "exit_code", "retries", "last_retry_at", "requeues", "last_requeue_at")


def _execution(execution: Execution | None) -> Record | None:
    if execution is None:
        return None
    return {**_pick(execution, _EXECUTION), "failure": _failure(execution.failure)}


def _read_execution(data: Record | None) -> Execution | None:
    return None if data is None else Execution(**{**data, "failure": _read_failure(data["failure"])})


def _revision(revision: Revision) -> list[float]:
    return [revision.created_at, revision.modified_at, revision.number]


def _read_revision(data: list[Any]) -> Revision:
    return Revision(created_at=data[0], modified_at=data[1], number=data[2])


_POOL = (
    "state_at",
    "allocation_at",
    "target_dedicated",
    "target_low_priority",
    "formula",
    "interval",
    "evaluate_at",
    "autoscale_held",
    "resize_deadline_at",
    "resize_errors",
    "auto_for",
    "succeeded_tasks",
    "failed_tasks",
)


def pool_record(pool: Pool) -> Record:
    run = pool.autoscale_run
    return {
        **_pick(pool, _POOL),
        "id": pool.id,
        "revision": _revision(pool.revision),
        "state": pool.state.value,
        "allocation": pool.allocation.value,
        "deallocation": pool.deallocation.value,
        "autoscale_run": None if run is None else [run.at, run.results, run.error],
        "arriving": [[a.at, a.dedicated] for a in pool.arriving],
    }


def read_pool_record(data: Record, spec: PoolSpec) -> Pool:
    run = data["autoscale_run"]
    pool = Pool(
        spec=spec,
        revision=_read_revision(data["revision"]),
        state=PoolState(data["state"]),
        allocation=AllocationState(data["allocation"]),
        deallocation=Deallocation(data["deallocation"]),
        **{name: data[name] for name in _POOL},
    )
    pool.resize_errors = [(code, message) for code, message in data["resize_errors"]]
    if run is not None:
        error = None if run[2] is None else (run[2][0], run[2][1], run[2][2])
        pool.autoscale_run = AutoscaleRun(at=run[0], results=run[1], error=error)
    pool.arriving = [Allocation(at=at, dedicated=dedicated) for at, dedicated in data["arriving"]]
    return pool


_NODE = (
    "id",
    "serial",
    "dedicated",
    "state_at",
    "allocated_at",
    "booted_at",
    "address",
    "scheduling",
    "pending",
    "start_task_state",
    "tasks_run",
    "tasks_succeeded",
    "users",
    "phase_at",
    "doom_at",
    "retained_until",
    "usable_at",
    "busy_seconds",
    "slot_seconds",
    "preempted_seconds",
)


def node_record(node: Node) -> Record:
    return {
        **_pick(node, _NODE),
        "state": node.state.value,
        "leaving": None if node.leaving is None else node.leaving.value,
        "start_task": _execution(node.start_task),
        "preparations": {key: _preparation(p) for key, p in node.preparations.items()},
        "recent": [[r.job_id, r.task_id] for r in node.recent],
        "errors": [_failure(e) for e in node.errors],
    }


def read_node_record(data: Record, pool: Pool) -> Node:
    errors = (_read_failure(e) for e in data["errors"])
    return Node(
        pool=pool,
        state=NodeState(data["state"]),
        leaving=None if data["leaving"] is None else Deallocation(data["leaving"]),
        start_task=_read_execution(data["start_task"]),
        preparations={key: _read_preparation(p) for key, p in data["preparations"].items()},
        recent=deque((RecentTask(job_id=j, task_id=t) for j, t in data["recent"]), maxlen=10),
        errors=[e for e in errors if e is not None],
        **{name: data[name] for name in _NODE},
    )


def _preparation(preparation: Preparation) -> Record:
    return {
        "job_id": preparation.job_id,
        "state": preparation.state,
        "release_state": preparation.release_state,
        "execution": _execution(preparation.execution),
        "release": _execution(preparation.release),
    }


def _read_preparation(data: Record) -> Preparation:
    return Preparation(
        job_id=data["job_id"],
        state=data["state"],
        release_state=data["release_state"],
        execution=_read_execution(data["execution"]) or Execution(),
        release=_read_execution(data["release"]),
    )


_JOB = (
    "seq",
    "state_at",
    "pool_id",
    "previous_state_at",
    "started_at",
    "ended_at",
    "terminate_reason",
    "schedule_id",
    "auto_pool_id",
)


def job_record(job: Job) -> Record:
    return {
        **_pick(job, _JOB),
        "id": job.id,
        "revision": _revision(job.revision),
        "state": job.state.value,
        "previous_state": job.previous_state,
        "scheduling_error": _failure(job.scheduling_error),
    }


def read_job_record(data: Record, spec: JobSpec) -> Job:
    previous = data["previous_state"]
    return Job(
        spec=spec,
        revision=_read_revision(data["revision"]),
        state=JobState(data["state"]),
        previous_state=None if previous is None else JobState(previous),
        scheduling_error=_read_failure(data["scheduling_error"]),
        **{name: data[name] for name in _JOB},
    )


_TASK = (
    "seq",
    "state_at",
    "previous_state_at",
    "ever_ran",
    "max_retries",
    "node_id",
    "node_pool_id",
    "expires_at",
    "files_gone",
    "satisfies",
)


def task_record(task: Task) -> Record:
    return {
        **_pick(task, _TASK),
        "revision": _revision(task.revision),
        "state": task.state.value,
        "previous_state": task.previous_state,
        "execution": _execution(task.execution),
        "ending": _failure(task.ending),
    }


def read_task_record(data: Record, spec: TaskSpec, job: Job) -> Task:
    previous = data["previous_state"]
    return Task(
        spec=spec,
        job=job,
        revision=_read_revision(data["revision"]),
        state=TaskState(data["state"]),
        previous_state=None if previous is None else TaskState(previous),
        execution=_read_execution(data["execution"]) or Execution(),
        ending=_read_failure(data["ending"]),
        **{name: data[name] for name in _TASK},
    )


_SCHEDULE = ("state_at", "previous_state_at", "next_run_at", "recent_job", "ended_at", "made", "auto_pool_id")


def schedule_record(schedule: Schedule) -> Record:
    return {
        **_pick(schedule, _SCHEDULE),
        "revision": _revision(schedule.revision),
        "state": schedule.state.value,
        "previous_state": schedule.previous_state,
    }


def read_schedule_record(data: Record, spec: JobScheduleSpec) -> Schedule:
    previous = data["previous_state"]
    return Schedule(
        spec=spec,
        revision=_read_revision(data["revision"]),
        state=ScheduleState(data["state"]),
        previous_state=None if previous is None else ScheduleState(previous),
        **{name: data[name] for name in _SCHEDULE},
    )
