"""The environment of a run: a clean base, the node image, the AZ_BATCH_* variables, the user's settings.

https://learn.microsoft.com/azure/batch/batch-compute-node-environment-variables
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from localcloud.batch import layout
from localcloud.batch.core.entities import Node, Run
from localcloud.batch.core.specs import CommandSpec
from localcloud.batch.core.states import RunKind

BASE: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run happens: the node's root, the run's directory and working directory, its command and its task id."""

    root: str
    directory: str
    working: str
    command: CommandSpec
    task_id: str


def place_of(run: Run, root: str) -> Place | None:
    """None: what the run should execute is not defined any more."""
    found = _command_of(run)
    if found is None:
        return None
    command, task_id = found
    relative = layout.STARTUP if run.job is None else layout.task_directory(run.job.id, task_id)
    directory = f"{root}/{relative}"
    return Place(
        root=root, directory=directory, working=f"{directory}/{layout.WORKING}", command=command, task_id=task_id
    )


def _command_of(run: Run) -> tuple[CommandSpec, str] | None:
    job, task = run.job, run.task
    match run.kind:
        case RunKind.START_TASK:
            start = run.node.pool.spec.start_task
            return None if start is None else (start.command, "starttask")
        case RunKind.TASK:
            return None if task is None else (task.spec.command, task.id)
    if job is None:
        return None
    spec = job.spec.preparation if run.kind is RunKind.PREPARATION else job.spec.release
    return None if spec is None else (spec.command, spec.id)


def node_environment(node: Node, root: str, *, account: str, endpoint: str, image: Mapping[str, str]) -> dict[str, str]:
    """What all runs on a node share. Later entries win: base, node image, Batch's own."""
    return {
        **BASE,
        **image,
        "AZ_BATCH_ACCOUNT_NAME": account,
        "AZ_BATCH_ACCOUNT_URL": endpoint,
        "AZ_BATCH_POOL_ID": node.pool.id,
        "AZ_BATCH_NODE_ID": node.id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true" if node.dedicated else "false",
        "AZ_BATCH_NODE_LIST": node.address,
        "AZ_BATCH_NODE_ROOT_DIR": root,
        "AZ_BATCH_NODE_SHARED_DIR": f"{root}/{layout.SHARED}",
        "AZ_BATCH_NODE_STARTUP_DIR": f"{root}/{layout.STARTUP}",
        "AZ_BATCH_NODE_MOUNTS_DIR": f"{root}/fsmounts",
        "AZ_BATCH_TASK_USER": "_azbatch",
    }


def run_environment(run: Run, place: Place, image: Mapping[str, str]) -> dict[str, str]:
    """What one run has besides: the task's variables, the job's settings, the task's settings."""
    environment = {
        "AZ_BATCH_TASK_DIR": place.directory,
        "AZ_BATCH_TASK_WORKING_DIR": place.working,
        "AZ_BATCH_CERTIFICATES_DIR": f"{place.directory}/certs",
        "AZ_BATCH_TASK_USER_IDENTITY": "PoolAdmin" if place.command.elevated else "PoolNonAdmin",
    }
    if "HOME" not in image:
        environment["HOME"] = place.working
    job = run.job
    if job is not None:
        environment["AZ_BATCH_JOB_ID"] = job.id
        environment["AZ_BATCH_TASK_ID"] = place.task_id
        if job.spec.preparation is not None:
            directory = f"{place.root}/{layout.task_directory(job.id, job.spec.preparation.id)}"
            environment["AZ_BATCH_JOB_PREP_DIR"] = directory
            environment["AZ_BATCH_JOB_PREP_WORKING_DIR"] = f"{directory}/{layout.WORKING}"
        environment.update(job.spec.environment)
    environment.update(place.command.environment)
    return environment
