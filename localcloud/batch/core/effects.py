"""What the core asks the world to do, and what the world answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.batch.core.entities import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Batch's failureInfo. `category`: usererror or servererror."""

    category: str
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a run ended: an exit code, or a failure before (`stage` preprocessing) or after it (`stage` upload).

    `stage` lost: nobody knows how it ended, its machine lost it; it runs again, which is a requeue and no retry.
    """

    code: int | None = 0
    failure: Failure | None = None
    stage: str = "command"


@dataclass(frozen=True, slots=True)
class Launch:
    """Start this run's command line; answer with `account.finished(run.id, exit)`."""

    run: "Run"


@dataclass(frozen=True, slots=True)
class Stop:
    """End this run; answer with `account.finished(run_id, exit)` when no process of it is left."""

    run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """The life of a node, for the bill. Times are seconds since 1970; `removed_at` None: it is still
    there."""

    pool_id: str
    node_id: str
    dedicated: bool
    allocated_at: float
    usable_at: float | None
    removed_at: float | None
    busy_seconds: float
    slot_seconds: float
    preempted_seconds: float


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node was removed, reimaged or lost its VM: its files are gone. `record` None: its id is still in
    the pool."""

    pool_id: str
    node_id: str
    record: NodeRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkGone:
    """The files of a task (or with `task_id` None, of a whole job) may be removed from a node."""

    pool_id: str
    node_id: str
    job_id: str
    task_id: str | None


Effect = Launch | Stop | NodeGone | WorkGone
