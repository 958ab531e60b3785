"""What the stages ask of one pool of Azure Batch and its jobs, and the errors they must tell apart.

`Batch` is the port: `pipeline/azure_batch.py` is the real one. An operation that raises BatchUnavailableError may have
taken effect; every operation may be done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pipeline.pool_health import NodeView
from shared.errors import DarkroomError, PermanentError, RetryableError


class BatchUnavailableError(RetryableError):
    """The service did not answer as it should, or throttled. The operation may or may not have taken effect."""


class QuotaReachedError(RetryableError):
    """The account's quota is used up (jobs, pools, cores). `code` is Batch's word for which."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class BatchRefusedError(PermanentError):
    """Batch does not accept the request or the identity. `code` is Batch's word for why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class BatchConflictError(DarkroomError):
    """Something else is going on with the pool or job right now (resizing, stopping); ask again later."""


class PoolMissingError(DarkroomError):
    """There is no such pool."""


class JobMissingError(DarkroomError):
    """There is no such job: it was deleted."""


class JobEndedError(DarkroomError):
    """The job takes no more tasks: it is completed, or being terminated or deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What one look at the pool showed, in Batch's words."""

    id: str
    state: str
    allocation_state: str
    autoscale_enabled: bool
    formula: str = ""
    interval: float = 0.0
    """Seconds between evaluations."""
    evaluated_at: datetime | None = None
    evaluation_results: str = ""
    evaluation_error: tuple[str, str] | None = None
    resize_errors: tuple[tuple[str, str], ...] = ()
    target_dedicated: int = 0
    target_low_priority: int = 0
    current_dedicated: int = 0
    current_low_priority: int = 0
    slots: int = 1
    vm_size: str = ""
    identity: bool = False
    """Whether the pool has a managed identity."""
    served: datetime | None = None
    """When Batch said so, by its own clock, which is also the clock of every other time that it tells."""

    @property
    def target_nodes(self) -> int:
        return self.target_dedicated + self.target_low_priority

    @property
    def current_nodes(self) -> int:
        return self.current_dedicated + self.current_low_priority


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task to add. No name from outside is ever part of a command line: such names go in the environment."""

    id: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task as the service sees it."""

    id: str
    state: str
    """active, preparing, running or completed."""
    succeeded: bool = False
    """Only where completed."""
    exit_code: int | None = None
    failure: str = ""
    """Batch's code and message where the task failed."""
    node: str = ""
    retries: int = 0
    requeues: int = 0
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def completed(self) -> bool:
        return self.state == "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    id: str
    state: str
    """active, disabling, disabled, enabling, terminating, completed or deleting."""
    created: datetime

    @property
    def ended(self) -> bool:
        return self.state in ("terminating", "completed", "deleting")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    active: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of a group of tasks."""

    tasks: tuple[str, ...]
    """Ids that are in the job now, whoever put them there."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why others are not, by id; they may be added later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The service's counts of nodes by state (lower case, without zeros)."""

    dedicated: Mapping[str, int]
    low_priority: Mapping[str, int]

    def total(self, *states: str) -> int:
        """Nodes of both kinds in these states."""
        return sum(kind.get(state, 0) for kind in (self.dedicated, self.low_priority) for state in states)

    def by_state(self) -> dict[str, int]:
        """Nodes of both kinds by state."""
        states = {*self.dedicated, *self.low_priority}
        return {state: self.total(state) for state in sorted(states)}


class Batch(Protocol):
    """One pool and the jobs that run on it. Any method may raise BatchUnavailableError or BatchRefusedError."""

    async def pool(self) -> Pool | None:
        """The pool; None when there is none."""

    async def create_pool(self, formula: str, interval: float) -> None:
        """Make the pool from the settings. Raises QuotaReachedError. One that is there already is left as it is."""

    async def node_counts(self) -> Health:
        """Nodes by state, as the service counts them."""

    async def nodes(self) -> Sequence[NodeView]:
        """Every node. Raises PoolMissingError."""

    async def enable_autoscale(self, formula: str, interval: float) -> None:
        """Set the formula and its interval (seconds). Raises PoolMissingError, BatchConflictError."""

    async def disable_autoscale(self) -> None:
        """Raises PoolMissingError, BatchConflictError."""

    async def stop_resize(self) -> None:
        """Raises PoolMissingError, BatchConflictError."""

    async def remove_nodes(self, ids: Sequence[str]) -> None:
        """Remove at most 100 nodes; their tasks are requeued. Raises PoolMissingError, BatchConflictError."""

    async def create_job(self, job: str) -> None:
        """Make a job, where there is none of that id. Raises JobEndedError, QuotaReachedError."""

    async def job(self, job: str) -> JobView | None:
        """The job; None when there is none."""

    async def jobs(self) -> Sequence[JobView]:
        """This pool's jobs of every age."""

    async def end_job(self, job: str) -> None:
        """No task runs or can be added any more. Idempotent; a missing job is fine."""

    async def delete_job(self, job: str) -> None:
        """Forget a job and the records of its tasks. Idempotent."""

    async def add_tasks(self, job: str, tasks: Sequence[TaskSpec]) -> Added:
        """Put tasks into a job; those that are there count as added. Raises JobMissingError, JobEndedError."""

    async def tasks(self, job: str, *, since: datetime) -> Mapping[str, TaskView]:
        """Tasks by id, those at least that were made or changed state since a moment. Raises JobMissingError."""

    async def task(self, job: str, task: str) -> TaskView | None:
        """One task; None when there is no such task or job."""

    async def task_counts(self, job: str) -> TaskCounts:
        """Raises JobMissingError."""
