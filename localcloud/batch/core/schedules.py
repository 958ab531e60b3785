"""Job schedules: jobs that are made at times."""

from dataclasses import replace

from localcloud.batch.core.entities import Job, Schedule
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.specs import JobScheduleSpec
from localcloud.batch.core.states import ENDED_JOBS, SCHEDULE_MOVES, JobState, PoolState, ScheduleState
from localcloud.batch.core.world import World

_CLOSED = {
    ScheduleState.COMPLETED: "JobScheduleCompleted",
    ScheduleState.TERMINATING: "JobScheduleBeingTerminated",
    ScheduleState.DELETING: "JobScheduleBeingDeleted",
}


class Schedules:
    """At most one job of a schedule is active at a time; a run that is due meanwhile is skipped or waits in
    its window."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, schedule_id: str) -> Schedule:
        schedule = self._world.schedules.get(schedule_id.lower())
        if schedule is None:
            raise Refused("JobScheduleNotFound")
        return schedule

    def create(self, spec: JobScheduleSpec) -> Schedule:
        world = self._world
        if spec.id.lower() in world.schedules:
            raise Refused("JobScheduleExists")
        if spec.id.lower() in world.jobs:
            raise Refused("JobWithSameIdExists")
        if world.job_rules.active_count() >= world.quotas.active_jobs:
            raise Refused("ActiveJobAndScheduleQuotaReached")
        schedule = Schedule(spec=spec, revision=world.revision(), state_at=world.now)
        world.schedules[spec.id.lower()] = schedule
        schedule.next_run_at = max(world.now, spec.not_before or world.now)
        self._arm_or_end(schedule)
        world.save(schedule)
        return schedule

    def update(self, schedule: Schedule, spec: JobScheduleSpec) -> None:
        self._refuse_if_closed(schedule)
        schedule.spec = spec
        if schedule.recent_job is None:
            schedule.next_run_at = max(self._world.now, spec.not_before or self._world.now)
        elif spec.recurrence is None:
            schedule.next_run_at = None
        elif schedule.next_run_at is None:
            schedule.next_run_at = self._world.now + spec.recurrence
        self._arm_or_end(schedule)
        self._world.revise(schedule)

    def disable(self, schedule: Schedule) -> None:
        self._refuse_if_closed(schedule)
        if schedule.state is ScheduleState.DISABLED:
            raise Refused("JobScheduleDisabled")
        self._move(schedule, ScheduleState.DISABLED)
        self._cancel(schedule)

    def enable(self, schedule: Schedule) -> None:
        self._refuse_if_closed(schedule)
        if schedule.state is ScheduleState.DISABLED:
            self._move(schedule, ScheduleState.ACTIVE)
            if schedule.next_run_at is not None:
                schedule.next_run_at = max(schedule.next_run_at, self._world.now)
            self._arm_or_end(schedule)

    def terminate(self, schedule: Schedule) -> None:
        self._refuse_if_closed(schedule)
        self._end(schedule)

    def delete(self, schedule: Schedule) -> None:
        if schedule.state is ScheduleState.DELETING:
            raise Refused("JobScheduleBeingDeleted")
        self._cancel(schedule)
        self._move(schedule, ScheduleState.DELETING)
        for job in self.jobs(schedule):
            if job.state is not JobState.DELETING:
                self._world.job_rules.delete(job)
        self._bury_if_empty(schedule)

    def jobs(self, schedule: Schedule) -> list[Job]:
        key = schedule.id.lower()
        return [j for j in self._world.jobs.values() if (j.schedule_id or "").lower() == key]

    def job_ended(self, job: Job) -> None:
        """A job of a schedule is completed or gone: the schedule may go on, or end."""
        schedule = self._world.schedules.get((job.schedule_id or "").lower())
        if schedule is None:
            return
        match schedule.state:
            case ScheduleState.DELETING:
                self._bury_if_empty(schedule)
            case ScheduleState.TERMINATING:
                self._complete(schedule)
            case ScheduleState.ACTIVE:
                self._arm_or_end(schedule)

    def arm(self, schedule: Schedule) -> None:
        if schedule.timer is not None:
            schedule.timer.cancel()
            schedule.timer = None
        if schedule.state is ScheduleState.ACTIVE and schedule.next_run_at is not None:
            schedule.timer = self._world.timers.at(schedule.next_run_at, self._due, schedule)

    def _arm_or_end(self, schedule: Schedule) -> None:
        if schedule.state is not ScheduleState.ACTIVE:
            return
        late = schedule.spec.not_after is not None and (schedule.next_run_at or 0) > schedule.spec.not_after
        if late:
            schedule.next_run_at = None
        if schedule.next_run_at is None and not self._busy(schedule):
            self._end(schedule)
        else:
            self.arm(schedule)

    def _busy(self, schedule: Schedule) -> bool:
        job = self._world.jobs.get((schedule.recent_job or "").lower())
        return job is not None and job.state not in ENDED_JOBS

    def _due(self, schedule: Schedule) -> None:
        world, spec = self._world, schedule.spec
        schedule.timer = None
        planned = schedule.next_run_at or world.now
        if self._busy(schedule):
            if spec.start_window is not None and world.now < planned + spec.start_window:
                pass  # this run is lost if the job outlasts the window; the next one is planned all the same
        else:
            self._make_job(schedule)
        schedule.next_run_at = None if spec.recurrence is None else planned + spec.recurrence
        self._arm_or_end(schedule)
        world.save(schedule)

    def _make_job(self, schedule: Schedule) -> None:
        schedule.made += 1
        job_id = f"{schedule.id}:job-{schedule.made}"
        schedule.recent_job = job_id
        auto = schedule.spec.job.auto_pool
        shared = schedule.auto_pool_id if auto is not None and auto.lifetime == "jobschedule" else None
        job = self._world.job_rules.create(
            replace(schedule.spec.job, id=job_id), schedule_id=schedule.id, pool_id=shared
        )
        if auto is not None and auto.lifetime == "jobschedule":
            schedule.auto_pool_id = job.pool_id
            job.auto_pool_id = None  # it outlives the job

    def _end(self, schedule: Schedule) -> None:
        self._cancel(schedule)
        self._move(schedule, ScheduleState.TERMINATING)
        job = self._world.jobs.get((schedule.recent_job or "").lower())
        if job is not None and job.state not in (*ENDED_JOBS, JobState.TERMINATING):
            self._world.job_rules.end(job, "JobScheduleTerminated")
        if not self._busy(schedule):
            self._complete(schedule)

    def _complete(self, schedule: Schedule) -> None:
        if schedule.state is not ScheduleState.TERMINATING:
            return
        schedule.ended_at = self._world.now
        self._move(schedule, ScheduleState.COMPLETED)
        self._drop_auto_pool(schedule)

    def _bury_if_empty(self, schedule: Schedule) -> None:
        if not self.jobs(schedule) and self._world.schedules.pop(schedule.id.lower(), None) is not None:
            self._drop_auto_pool(schedule)
            self._world.forget(schedule)

    def _drop_auto_pool(self, schedule: Schedule) -> None:
        auto = schedule.spec.job.auto_pool
        pool = self._world.pools.get((schedule.auto_pool_id or "").lower())
        if pool is not None and auto is not None and not auto.keep_alive and pool.state is PoolState.ACTIVE:
            self._world.fleet.delete(pool.id)

    def _cancel(self, schedule: Schedule) -> None:
        if schedule.timer is not None:
            schedule.timer.cancel()
            schedule.timer = None

    @staticmethod
    def _refuse_if_closed(schedule: Schedule) -> None:
        code = _CLOSED.get(schedule.state)
        if code is not None:
            raise Refused(code)

    def _move(self, schedule: Schedule, state: ScheduleState) -> None:
        if state not in SCHEDULE_MOVES[schedule.state]:
            raise RuntimeError(f"job schedule {schedule.id}: {schedule.state} cannot become {state}")
        schedule.previous_state, schedule.previous_state_at = schedule.state, schedule.state_at
        schedule.state, schedule.state_at = state, self._world.now
        self._world.revise(schedule)
