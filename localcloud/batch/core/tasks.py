"""Operations on tasks: add, terminate, delete, reactivate, change constraints."""

from dataclasses import replace

from localcloud.batch.core.entities import Execution, Job, StopReason, Task
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.nodes import TASK_ENDED
from localcloud.batch.core.specs import TaskSpec
from localcloud.batch.core.states import JobState, TaskState
from localcloud.batch.core.world import World

MAX_RANGE = 1_000_000


class Tasks:
    """What users do to tasks."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add(self, job: Job, spec: TaskSpec) -> Task:
        """Add a task to an active or disabled job. Raises Refused: TaskExists, JobCompleted, ..."""
        world = self._world
        self._refuse_if_closed(job)
        key = spec.id.lower()
        if key in job.tasks:
            raise Refused("TaskExists")
        if spec.exit_conditions is not None:
            self._check_conditions(job, spec)
        self._check_names(job, spec)
        if (spec.depends_on or spec.depends_on_ranges) and not job.spec.uses_dependencies:
            raise Refused("TaskDependenciesNotSpecifiedOnJob")
        job.next_seq += 1
        retries = spec.command.max_retries
        task = Task(
            spec=spec,
            job=job,
            seq=job.next_seq,
            revision=world.revision(),
            state_at=world.now,
            max_retries=job.spec.max_task_retries if retries is None else retries,
        )
        job.tasks[key] = task
        world.work.count(task, 1)
        if spec.depends_on or spec.depends_on_ranges:
            self.wait_for_others(task)
        world.dispatcher.enqueue(task)
        world.save(task)
        return task

    @staticmethod
    def _check_names(job: Job, spec: TaskSpec) -> None:
        if job.spec.preparation is not None and spec.id.lower() == job.spec.preparation.id.lower():
            raise Refused("TaskIdSameAsJobPreparationTask")
        if job.spec.release is not None and spec.id.lower() == job.spec.release.id.lower():
            raise Refused("TaskIdSameAsJobReleaseTask")

    @staticmethod
    def _check_conditions(job: Job, spec: TaskSpec) -> None:
        conditions = spec.exit_conditions
        if conditions is None:
            return
        options = [o for _, _, o in conditions.ranges]
        options += [o for o in (conditions.preprocessing_error, conditions.upload_error, conditions.default) if o]
        if not job.spec.uses_dependencies and any(o.satisfies is not None for o in options):
            raise invalid_property("dependencyAction", "", "The job does not use task dependencies")
        if not job.spec.act_on_task_failure and any(o.job_action not in (None, "none") for o in options):
            raise invalid_property("jobAction", "", "The job's onTaskFailure is not performExitOptionsJobAction")

    def wait_for_others(self, task: Task) -> None:
        """Count what the task waits for; `blockers` is 0 when nothing is left."""
        job = task.job
        task.blockers = 0
        for other_id in {name.lower() for name in task.spec.depends_on}:
            other = job.tasks.get(other_id)
            if other is None or other.satisfies is not True:
                job.waiters.setdefault(other_id, []).append(task)
                task.blockers += 1
        for low, high in task.spec.depends_on_ranges:
            if high - low >= MAX_RANGE:
                raise invalid_property("taskIdRanges", f"{low}-{high}", f"A range may hold {MAX_RANGE} ids here")
            missing = {n for n in range(low, high + 1) if not self._satisfied(job, str(n))}
            if missing:
                job.range_waiters.append((low, high, missing, task))
                task.blockers += 1

    @staticmethod
    def _satisfied(job: Job, task_id: str) -> bool:
        other = job.tasks.get(task_id)
        return other is not None and other.satisfies is True

    @staticmethod
    def _refuse_if_closed(job: Job) -> None:
        code = {
            JobState.COMPLETED: "JobCompleted",
            JobState.TERMINATING: "JobBeingTerminated",
            JobState.DELETING: "JobBeingDeleted",
        }.get(job.state)
        if code is not None:
            raise Refused(code)

    def terminate(self, task: Task) -> None:
        if task.state is TaskState.COMPLETED:
            raise Refused("TaskCompleted")
        if task.run is not None:
            self._world.work.stop(task.run, StopReason(requeue=False, failure=TASK_ENDED))
        else:
            self._world.work.complete(task, TASK_ENDED, stage="command")

    def delete(self, task: Task) -> None:
        """The task is gone at once; if it runs, its process is ended behind the scenes."""
        world, job = self._world, task.job
        if job.state is JobState.DELETING:
            raise Refused("JobBeingDeleted")
        world.dispatcher.withdraw(task)
        world.work.count(task, -1)
        del job.tasks[task.id.lower()]
        world.forget(task)
        if task.run is not None:
            world.work.stop(task.run, StopReason(requeue=False, failure=TASK_ENDED))
        world.work.files_gone(task)
        world.job_rules.check_done(job)

    def reactivate(self, task: Task) -> None:
        """A failed task runs again, with a new count of retries."""
        if task.state is not TaskState.COMPLETED:
            raise Refused("TaskNotCompleted")
        if task.execution.succeeded:
            raise Refused("TaskSucceeded")
        self._refuse_if_closed(task.job)
        self._world.work.move(task, TaskState.ACTIVE)
        self._world.work.count(task, -1)
        task.execution = Execution(requeues=task.execution.requeues)
        self._world.work.count(task, 1)
        task.satisfies = None
        task.expires_at = None
        self._world.dispatcher.enqueue(task)
        self._world.save(task)

    def change_constraints(self, task: Task, spec: TaskSpec) -> None:
        """New retries, wall clock and retention; a running task keeps its deadline until it runs again."""
        if task.state is TaskState.COMPLETED:
            raise Refused("TaskCompleted")
        task.spec = replace(task.spec, command=spec.command, document=spec.document)
        retries = spec.command.max_retries
        task.max_retries = task.job.spec.max_task_retries if retries is None else retries
        self._world.revise(task)
