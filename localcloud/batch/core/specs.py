"""What users ask for: pools, jobs, tasks and schedules as frozen values.

Each spec that came over the wire keeps `document`, the JSON object it was read from, so that what Batch would store
and return (mounts, extensions, network settings, ...) is kept and returned though nothing here acts on it. Durations
are seconds. A simulator leaves `document` empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from localcloud.batch.core.states import FillType

Document = Mapping[str, Any]
EMPTY: Final[Document] = {}


def _empty() -> Document:
    return EMPTY


FOREVER: Final = 1e11  # longer than anything lives here: Batch's "unlimited" durations
WEEK: Final = 7 * 86_400.0
AUTOSCALE_FLOOR: Final = 300.0
AUTOSCALE_CEILING: Final = 168 * 3600.0
AUTOSCALE_DEFAULT: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFile:
    """A file, or with `container_url` a listing of files, that is put on the node before the command line
    runs."""

    http_url: str | None = None
    container_url: str | None = None
    auto_storage_container: str | None = None
    blob_prefix: str = ""
    file_path: str | None = None
    file_mode: str | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """Files that are uploaded after the command line ended. `condition`: tasksuccess, taskfailure,
    taskcompletion."""

    pattern: str
    container_url: str
    path: str | None = None
    condition: str = "taskcompletion"
    headers: tuple[tuple[str, str], ...] = ()
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command line and what surrounds it. `max_retries` -1 means without limit; times in seconds."""

    command_line: str
    environment: tuple[tuple[str, str], ...] = ()
    resource_files: tuple[ResourceFile, ...] = ()
    output_files: tuple[OutputFile, ...] = ()
    max_retries: int | None = None
    max_wall_clock: float = FOREVER
    retention: float = WEEK
    container: bool = False
    elevated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTaskSpec:
    command: CommandSpec
    wait_for_success: bool = True
    document: Document = field(default_factory=_empty, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """A pool. With `autoscale_formula` the targets follow the formula, else they are fixed."""

    id: str
    vm_size: str = "standard_d2s_v3"
    cores_per_node: int = 1
    task_slots_per_node: int = 1
    fill: FillType = FillType.SPREAD
    job_order_by_creation: bool = False
    target_dedicated: int = 0
    target_low_priority: int = 0
    autoscale_formula: str | None = None
    autoscale_interval: float = AUTOSCALE_DEFAULT
    resize_timeout: float = 900.0
    start_task: StartTaskSpec | None = None
    document: Document = field(default_factory=_empty, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitOptions:
    """What an exit means for others. None: Batch's default (terminate and block, unless it succeeded)."""

    job_action: str | None = None
    satisfies: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitConditions:
    """Ranges of exit codes (both ends included) with their options, in the order in which they are tried."""

    ranges: tuple[tuple[int, int, ExitOptions], ...] = ()
    preprocessing_error: ExitOptions | None = None
    upload_error: ExitOptions | None = None
    default: ExitOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task. `depends_on_ranges` are integer task ids, both ends included."""

    id: str
    command: CommandSpec
    required_slots: int = 1
    depends_on: tuple[str, ...] = ()
    depends_on_ranges: tuple[tuple[int, int], ...] = ()
    exit_conditions: ExitConditions | None = None
    affinity_id: str | None = None
    kills_job: bool = False  # a job manager task whose end ends the job
    run_exclusive: bool = False
    allow_low_priority: bool = True
    document: Document = field(default_factory=_empty, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationSpec:
    command: CommandSpec
    id: str = "jobpreparation"
    wait_for_success: bool = True
    rerun_on_reboot: bool = True
    document: Document = field(default_factory=_empty, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSpec:
    command: CommandSpec
    id: str = "jobrelease"
    document: Document = field(default_factory=_empty, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoPoolSpec:
    """A pool that Batch makes for a job or a schedule. `lifetime`: job or jobschedule."""

    pool: PoolSpec
    prefix: str = ""
    lifetime: str = "job"
    keep_alive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job. `pool_id` may name a pool that does not exist yet; `priority` is -1000 to 1000."""

    id: str
    pool_id: str = ""
    auto_pool: AutoPoolSpec | None = None
    priority: int = 0
    max_parallel_tasks: int = -1
    allow_task_preemption: bool = False
    max_wall_clock: float = FOREVER
    max_task_retries: int = 0
    uses_dependencies: bool = False
    terminate_when_done: bool = False
    act_on_task_failure: bool = False
    manager: TaskSpec | None = None
    preparation: PreparationSpec | None = None
    release: ReleaseSpec | None = None
    environment: tuple[tuple[str, str], ...] = ()
    document: Document = field(default_factory=_empty, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScheduleSpec:
    """Jobs that recur. Times are seconds since 1970 (`not_before`, `not_after`) and durations in seconds."""

    id: str
    job: JobSpec
    not_before: float | None = None
    not_after: float | None = None
    start_window: float | None = None
    recurrence: float | None = None
    document: Document = field(default_factory=_empty, compare=False)
