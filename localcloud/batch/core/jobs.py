"""The life of a job: active, disabled, terminated, deleted, and the moves between them."""

from dataclasses import replace

from localcloud.batch.core.effects import Failure, WorkGone
from localcloud.batch.core.entities import Job, Pool, StopReason
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.nodes import TASK_ENDED
from localcloud.batch.core.specs import AutoPoolSpec, JobSpec
from localcloud.batch.core.states import JOB_MOVES, JobState, PoolState, ScheduleState
from localcloud.batch.core.world import World

_CLOSED = {
    JobState.COMPLETED: "JobCompleted",
    JobState.TERMINATING: "JobBeingTerminated",
    JobState.DELETING: "JobBeingDeleted",
}


class Jobs:
    """What users and the passing of time do to jobs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made = 0

    def active_count(self) -> int:
        """Jobs and schedules that count against the quota of active ones."""
        jobs = sum(1 for j in self._world.jobs.values() if j.state not in (JobState.COMPLETED, JobState.DELETING))
        return jobs + sum(1 for s in self._world.schedules.values() if s.state is not ScheduleState.COMPLETED)

    def create(self, spec: JobSpec, *, schedule_id: str | None = None, pool_id: str | None = None) -> Job:
        world = self._world
        if spec.id.lower() in world.jobs:
            raise Refused("JobExists")
        if spec.id.lower() in world.schedules:
            raise Refused("JobScheduleWithSameIdExists")
        if schedule_id is None and self.active_count() >= world.quotas.active_jobs:
            raise Refused("ActiveJobAndScheduleQuotaReached")
        self._made += 1
        job = Job(
            spec=spec,
            seq=world.run_id(),
            revision=world.revision(),
            state_at=world.now,
            pool_id=pool_id or spec.pool_id,
            started_at=world.now,
            schedule_id=schedule_id,
        )
        world.jobs[spec.id.lower()] = job
        world.save(job)
        if spec.auto_pool is not None and pool_id is None:
            self._make_pool(job, spec.auto_pool)
        pool = world.pool_of(job)
        if pool is not None:
            pool.live_jobs[job.id.lower()] = job
        self.arm(job)
        if spec.manager is not None:
            world.task_rules.add(job, spec.manager)
        self.check_done(job)
        return job

    def _make_pool(self, job: Job, auto: AutoPoolSpec) -> None:
        draw = f"{self._world.rng.getrandbits(128):032x}"
        guid = "-".join((draw[:8], draw[8:12], draw[12:16], draw[16:20], draw[20:])).upper()
        job.auto_pool_id = job.pool_id = f"{auto.prefix}{guid}" if auto.prefix else guid
        try:
            self._world.fleet.create(replace(auto.pool, id=job.pool_id), auto_for=job.id)
        except Refused as refused:
            job.scheduling_error = Failure(
                category="usererror", code="InvalidAutoPoolSettings", message=refused.message or refused.code
            )
            self.end(job, "InvalidAutoPoolSettings")

    def arm(self, job: Job) -> None:
        if job.deadline is not None:
            job.deadline.cancel()
            job.deadline = None
        if job.deadline_at is not None and job.state not in _CLOSED:
            job.deadline = self._world.timers.at(job.deadline_at, self._time_out, job)

    def _time_out(self, job: Job) -> None:
        job.deadline = None
        if job.state not in _CLOSED:
            self.end(job, "MaxWallClockTimeExpiry")

    def update(self, job: Job, spec: JobSpec) -> None:
        """Replace what may be changed. The pool only while the job is disabled."""
        world = self._world
        self._refuse_if_closed(job)
        if spec.pool_id != job.spec.pool_id and spec.auto_pool is None:
            if job.state is not JobState.DISABLED:
                raise Refused(
                    "OperationInvalidForCurrentState", values=(("Reason", "Disable the job to change its pool"),)
                )
            self._detach(job)
            job.pool_id = spec.pool_id
            pool = world.pool_of(job)
            if pool is not None:
                pool.live_jobs[job.id.lower()] = job
        pool = world.pool_of(job)
        if pool is not None:
            world.dispatcher.retract(pool, job, job.spec.priority)
        job.spec = spec
        self.arm(job)
        world.dispatcher.offer(job)
        world.revise(job)
        self.check_done(job)

    def disable(self, job: Job, option: str) -> None:
        """`option`: requeue, terminate or wait."""
        self._refuse_if_closed(job)
        if job.state is not JobState.DISABLED:
            self._move(job, JobState.DISABLING)
            if option != "wait":
                requeue = option == "requeue"
                failure = None if requeue else TASK_ENDED
                self._stop_runs(job, StopReason(requeue=requeue, failure=failure))
        self.proceed(job)

    def enable(self, job: Job) -> None:
        self._refuse_if_closed(job)
        if job.state is JobState.ACTIVE:
            return
        self._move(job, JobState.ENABLING)
        self._move(job, JobState.ACTIVE)
        self._world.dispatcher.offer(job)

    def terminate(self, job: Job, reason: str | None) -> None:
        self._refuse_if_closed(job)
        self.end(job, reason or "UserTerminate")

    def end(self, job: Job, reason: str) -> None:
        """Terminate the job: tasks that run are ended, tasks that wait stay active."""
        if job.state in _CLOSED:
            return
        job.terminate_reason = reason
        self._move(job, JobState.TERMINATING)
        self._stop_runs(job, StopReason(requeue=False, failure=TASK_ENDED))
        self.proceed(job)

    def delete(self, job: Job) -> None:
        if job.state is JobState.DELETING:
            raise Refused("JobBeingDeleted")
        self._move(job, JobState.DELETING)
        self._stop_runs(job, StopReason(requeue=False, failure=TASK_ENDED))
        self.proceed(job)

    def check_done(self, job: Job) -> None:
        """onAllTasksComplete: the job ends with its last task (at once if it has none)."""
        if job.spec.terminate_when_done and job.state is JobState.ACTIVE and len(job.tasks) == job.counts.completed:
            self.end(job, "AllTasksComplete")

    def proceed(self, job: Job) -> None:
        """Take the next step of a move that waits for runs to end."""
        if job.runs:
            return
        match job.state:
            case JobState.DISABLING:
                self._move(job, JobState.DISABLED)
            case JobState.TERMINATING | JobState.DELETING:
                if self._world.jobs.get(job.id.lower()) is not job or self._world.work.releasing(job):
                    return
                if not self._world.work.release_nodes(job):
                    self._finish(job)

    def _finish(self, job: Job) -> None:
        world = self._world
        self._detach(job)
        if job.deadline is not None:
            job.deadline.cancel()
        if job.ended_at is None:
            job.ended_at = world.now
        if job.state is JobState.TERMINATING:
            self._move(job, JobState.COMPLETED)
        else:
            self._bury(job)
        self._drop_auto_pool(job)
        world.schedule_rules.job_ended(job)

    def _bury(self, job: Job) -> None:
        world = self._world
        del world.jobs[job.id.lower()]
        places = {(node.pool.id, node.id) for node in job.prepared_nodes.values()}
        for task in job.tasks.values():
            if task.node_pool_id is not None and task.node_id is not None:
                places.add((task.node_pool_id, task.node_id))
        for pool_id, node_id in sorted(places):
            world.effects.append(WorkGone(pool_id=pool_id, node_id=node_id, job_id=job.id, task_id=None))
        for node in job.prepared_nodes.values():
            node.preparations.pop(job.id.lower(), None)
        world.forget(job)

    def _drop_auto_pool(self, job: Job) -> None:
        auto = job.spec.auto_pool
        if job.auto_pool_id is None or auto is None or auto.keep_alive:
            return
        pool: Pool | None = self._world.pools.get(job.auto_pool_id.lower())
        if pool is not None and pool.state is PoolState.ACTIVE:
            self._world.fleet.delete(pool.id)

    def _detach(self, job: Job) -> None:
        pool = self._world.pool_of(job)
        if pool is not None:
            pool.live_jobs.pop(job.id.lower(), None)
            self._world.dispatcher.retract(pool, job, job.spec.priority)

    def _stop_runs(self, job: Job, reason: StopReason) -> None:
        for run in tuple(job.runs.values()):
            self._world.work.stop(run, reason)

    @staticmethod
    def _refuse_if_closed(job: Job) -> None:
        code = _CLOSED.get(job.state)
        if code is not None:
            raise Refused(code)

    def _move(self, job: Job, state: JobState) -> None:
        if job.state is state:
            return
        if state not in JOB_MOVES[job.state]:
            raise RuntimeError(f"job {job.id}: {job.state} cannot become {state}")
        job.previous_state, job.previous_state_at = job.state, job.state_at
        job.state, job.state_at = state, self._world.now
        self._world.revise(job)
