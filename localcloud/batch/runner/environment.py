"""The environment of a run: a clean base, the node image, the AZ_BATCH_* variables, the user's settings.

https://learn.microsoft.com/azure/batch/batch-compute-node-environment-variables
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcloud.batch import layout
from localcloud.batch.core.entities import Run
from localcloud.batch.core.specs import CommandSpec
from localcloud.batch.core.states import RunKind

BASE: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run happens: the node's root, the run's directory (relative to it), its command and its task id."""

    root: Path
    relative: str
    command: CommandSpec
    task_id: str

    @property
    def directory(self) -> Path:
        return self.root / self.relative

    @property
    def working(self) -> Path:
        return self.directory / layout.WORKING


def place_of(run: Run, root: Path) -> Place | None:
    """None: what the run should execute is not defined any more."""
    job, task = run.job, run.task
    if run.kind is RunKind.START_TASK:
        start = run.node.pool.spec.start_task
        if start is None:
            return None
        return Place(root=root, relative=layout.STARTUP, command=start.command, task_id="starttask")
    if job is None:
        return None
    if run.kind is RunKind.TASK:
        if task is None:
            return None
        command, task_id = task.spec.command, task.id
    else:
        spec = job.spec.preparation if run.kind is RunKind.PREPARATION else job.spec.release
        if spec is None:
            return None
        command, task_id = spec.command, spec.id
    return Place(root=root, relative=layout.task_directory(job.id, task_id), command=command, task_id=task_id)


def environment_of(run: Run, place: Place, *, account: str, endpoint: str, image: Mapping[str, str]) -> dict[str, str]:
    """Later entries win: base, node image, Batch's own, the job's, the task's."""
    node, root = run.node, place.root
    environment = {
        **BASE,
        "HOME": str(place.working),
        **image,
        "AZ_BATCH_ACCOUNT_NAME": account,
        "AZ_BATCH_ACCOUNT_URL": endpoint,
        "AZ_BATCH_POOL_ID": node.pool.id,
        "AZ_BATCH_NODE_ID": node.id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true" if node.dedicated else "false",
        "AZ_BATCH_NODE_LIST": node.address,
        "AZ_BATCH_NODE_ROOT_DIR": str(root),
        "AZ_BATCH_NODE_SHARED_DIR": str(root / layout.SHARED),
        "AZ_BATCH_NODE_STARTUP_DIR": str(root / layout.STARTUP),
        "AZ_BATCH_NODE_MOUNTS_DIR": str(root / "fsmounts"),
        "AZ_BATCH_TASK_DIR": str(place.directory),
        "AZ_BATCH_TASK_WORKING_DIR": str(place.working),
        "AZ_BATCH_CERTIFICATES_DIR": str(place.directory / "certs"),
        "AZ_BATCH_TASK_USER": "_azbatch",
        "AZ_BATCH_TASK_USER_IDENTITY": "PoolAdmin" if place.command.elevated else "PoolNonAdmin",
    }
    job = run.job
    if job is not None:
        environment["AZ_BATCH_JOB_ID"] = job.id
        environment["AZ_BATCH_TASK_ID"] = place.task_id
        if job.spec.preparation is not None:
            directory = root / layout.task_directory(job.id, job.spec.preparation.id)
            environment["AZ_BATCH_JOB_PREP_DIR"] = str(directory)
            environment["AZ_BATCH_JOB_PREP_WORKING_DIR"] = str(directory / layout.WORKING)
        environment.update(job.spec.environment)
    environment.update(place.command.environment)
    return environment
