"""Runs: tasks, job preparation and job release on nodes, and what their ends mean."""

from localcloud.batch.core.effects import Exit, Failure, Launch, Stop, WorkGone
from localcloud.batch.core.entities import Execution, Job, Node, Preparation, RecentTask, Run, StopReason, Task
from localcloud.batch.core.nodes import TASK_ENDED, exit_failure
from localcloud.batch.core.specs import FOREVER, ExitOptions
from localcloud.batch.core.states import TASK_MOVES, JobState, RunKind, TaskState
from localcloud.batch.core.world import World

TIMED_OUT = Failure(
    category="usererror",
    code="TaskEnded",
    message="Task Was Ended by User Request",
    details=(("Message", "The maximum execution time configured on the task was exceeded"),),
)
_DEFAULT_OPTIONS = ExitOptions()


class Work:
    """What runs, and what becomes of tasks when it ends."""

    def __init__(self, world: World) -> None:
        self._world = world

    # --- starting ---

    def assign(self, task: Task, node: Node) -> None:
        """The task goes to the node: at once, or once the job's preparation task has run there."""
        world, job = self._world, task.job
        slots = node.pool.spec.task_slots_per_node if task.spec.run_exclusive else task.slots
        run = Run(id=world.run_id(), kind=RunKind.TASK, node=node, job=job, task=task, slots=slots)
        task.run = run
        task.node_id, task.node_pool_id = node.id, node.pool.id
        job.runs[run.id] = run
        world.runs[run.id] = run
        world.node_rules.occupy(node, run)
        if self._prepared(job, node, run):
            self._begin(run, task)

    def _prepared(self, job: Job, node: Node, run: Run) -> bool:
        spec = job.spec.preparation
        if spec is None:
            return True
        preparation = node.preparations.get(job.id.lower())
        if preparation is None:
            preparation = self._prepare(job, node)
        if preparation.usable or not spec.wait_for_success:
            return True
        preparation.waiting.append(run)
        if run.task is not None:
            self.move(run.task, TaskState.PREPARING)
        return False

    def _prepare(self, job: Job, node: Node) -> Preparation:
        preparation = Preparation(job_id=job.id, execution=Execution(started_at=self._world.now))
        node.preparations[job.id.lower()] = preparation
        job.prepared_nodes[node.id.lower()] = node
        self._launch_aside(RunKind.PREPARATION, job, node)
        return preparation

    def _launch_aside(self, kind: RunKind, job: Job, node: Node) -> None:
        """A preparation or release task: it runs beside the tasks and takes no slot."""
        world = self._world
        run = Run(id=world.run_id(), kind=kind, node=node, job=job, launched=True)
        world.runs[run.id] = run
        world.node_rules.occupy(node, run)
        world.effects.append(Launch(run))
        spec = job.spec.preparation if kind is RunKind.PREPARATION else job.spec.release
        if spec is not None and spec.command.max_wall_clock < FOREVER:
            run.deadline = world.timers.at(world.now + spec.command.max_wall_clock, self._time_out, run)
        world.save(node)

    def _begin(self, run: Run, task: Task) -> None:
        world = self._world
        run.launched = True
        task.ever_ran = True
        task.execution.started_at = world.now
        task.execution.ended_at = None
        task.files_gone = False
        self.move(task, TaskState.RUNNING)
        world.effects.append(Launch(run))
        limit = task.spec.command.max_wall_clock
        if limit < FOREVER:
            run.deadline = world.timers.at(world.now + limit, self._time_out, run)

    # --- stopping ---

    def _time_out(self, run: Run) -> None:
        run.deadline = None
        self.stop(run, StopReason(requeue=False, failure=TIMED_OUT))

    def stop(self, run: Run, reason: StopReason) -> None:
        """End a run. A second reason replaces the first only where the first would have run it again."""
        if run.stop is not None:
            if run.stop.requeue and not reason.requeue:
                self._intend(run, reason)
            return
        self._intend(run, reason)
        if run.deadline is not None:
            run.deadline.cancel()
            run.deadline = None
        if run.launched:
            self._world.effects.append(Stop(run.id))
        else:
            self._world.runs.pop(run.id, None)
            self._leave_waiting(run)
            self.finished(run, Exit(code=None))

    def _intend(self, run: Run, reason: StopReason) -> None:
        run.stop = reason
        if run.task is not None and not reason.requeue:
            run.task.ending = reason.failure
            self._world.save(run.task)

    @staticmethod
    def _leave_waiting(run: Run) -> None:
        for preparation in run.node.preparations.values():
            if run in preparation.waiting:
                preparation.waiting.remove(run)

    # --- ends ---

    def finished(self, run: Run, end: Exit) -> None:
        """The run's process is gone (the run is no longer in `world.runs`)."""
        if run.deadline is not None:
            run.deadline.cancel()
            run.deadline = None
        match run.kind:
            case RunKind.START_TASK:
                self._world.node_rules.start_task_finished(run, end)
            case RunKind.PREPARATION:
                self._preparation_finished(run, end)
            case RunKind.RELEASE:
                self._release_finished(run, end)
            case RunKind.TASK:
                self._task_finished(run, end)

    def _task_finished(self, run: Run, end: Exit) -> None:
        task, job, node = run.task, run.job, run.node
        if task is None or job is None:
            return
        job.runs.pop(run.id, None)
        if task.run is run:
            task.run = None
        if job.tasks.get(task.id.lower()) is task:
            self._judge(task, run, end)
            self._account(node, task)
        self._world.node_rules.release(node, run)
        self._world.dispatcher.offer(job)
        self._world.job_rules.proceed(job)

    def _judge(self, task: Task, run: Run, end: Exit) -> None:
        """What the end of its run means for the task."""
        execution = task.execution
        if run.stop is None and end.stage == "lost":
            self._requeue(task)
            return
        if run.stop is not None:
            execution.exit_code = end.code if run.stop.failure is not None else None
            if run.stop.requeue:
                self._requeue(task)
            else:
                self.complete(task, run.stop.failure, stage="command")
            return
        execution.exit_code = end.code
        failure = end.failure or exit_failure(end)
        limit = task.max_retries
        if failure is not None and end.stage == "command" and (limit < 0 or execution.retries < limit):
            execution.retries += 1
            execution.last_retry_at = self._world.now
            self.move(task, TaskState.ACTIVE)
            self._world.dispatcher.enqueue(task, first=True)
        else:
            self.complete(task, failure, stage=end.stage)

    def _requeue(self, task: Task) -> None:
        task.execution.requeues += 1
        task.execution.last_requeue_at = self._world.now
        self.move(task, TaskState.ACTIVE)
        self._world.dispatcher.enqueue(task, first=True)

    def _account(self, node: Node, task: Task) -> None:
        if task.state is TaskState.COMPLETED:
            node.tasks_run += 1
            node.tasks_succeeded += task.execution.succeeded
            node.recent.append(RecentTask(job_id=task.job.id, task_id=task.id))
            if task.expires_at is not None:
                node.retained_until = max(node.retained_until, task.expires_at)

    def complete(self, task: Task, failure: Failure | None, *, stage: str) -> None:
        """The task is over. Its exit conditions say what that means for other tasks and for the job."""
        world, job = self._world, task.job
        task.ending = None
        task.execution.ended_at = world.now
        task.execution.failure = failure
        world.dispatcher.withdraw(task)
        options = self._exit_options(task, stage)
        task.satisfies = failure is None if options.satisfies is None else options.satisfies
        self.move(task, TaskState.COMPLETED)
        if task.ever_ran:
            retention = task.spec.command.retention
            if retention < FOREVER:
                task.expires_at = world.now + retention
                self.arm(task)
        if task.satisfies:
            self._release_dependents(task)
        if failure is not None and job.spec.act_on_task_failure:
            self._act_on_failure(job, options.job_action or "terminate")
        if task.spec.kills_job and job.state in (JobState.ACTIVE, JobState.DISABLING, JobState.DISABLED):
            world.job_rules.end(job, "JMComplete")
        world.job_rules.check_done(job)

    def arm(self, task: Task) -> None:
        if task.expires_at is not None and not task.files_gone:
            self._world.timers.at(task.expires_at, self._expire, task, task.execution.ended_at)

    def _expire(self, task: Task, ended_at: float | None) -> None:
        if task.execution.ended_at == ended_at and task.job.tasks.get(task.id.lower()) is task:
            task.files_gone = True
            self.files_gone(task)
            self._world.save(task)

    def files_gone(self, task: Task) -> None:
        if task.node_id is not None and task.node_pool_id is not None:
            self._world.effects.append(
                WorkGone(pool_id=task.node_pool_id, node_id=task.node_id, job_id=task.job.id, task_id=task.id)
            )

    @staticmethod
    def _exit_options(task: Task, stage: str) -> ExitOptions:
        conditions, code = task.spec.exit_conditions, task.execution.exit_code
        if conditions is None:
            return _DEFAULT_OPTIONS
        if stage == "preprocessing":
            return conditions.preprocessing_error or conditions.default or _DEFAULT_OPTIONS
        if stage == "upload":
            return conditions.upload_error or conditions.default or _DEFAULT_OPTIONS
        for low, high, options in conditions.ranges:
            if code is not None and low <= code <= high:
                return options
        if code == 0:
            return _DEFAULT_OPTIONS
        return conditions.default or _DEFAULT_OPTIONS

    def _release_dependents(self, task: Task) -> None:
        job = task.job
        waiting = job.waiters.pop(task.id.lower(), [])
        for waiter in waiting:
            self._satisfy(waiter)
        if job.range_waiters and task.id.isdecimal():
            number = int(task.id)
            for entry in tuple(job.range_waiters):
                missing = entry[2]
                if number in missing:
                    missing.discard(number)
                    if not missing:
                        job.range_waiters.remove(entry)
                        self._satisfy(entry[3])

    def _satisfy(self, waiter: Task) -> None:
        waiter.blockers -= 1
        there = waiter.job.tasks.get(waiter.id.lower()) is waiter  # it may have been deleted meanwhile
        if there and waiter.blockers == 0 and waiter.state is TaskState.ACTIVE:
            self._world.dispatcher.enqueue(waiter)

    def _act_on_failure(self, job: Job, action: str) -> None:
        if job.state is not JobState.ACTIVE:
            return
        if action == "terminate":
            self._world.job_rules.end(job, "TaskFailed")
        elif action == "disable":
            self._world.job_rules.disable(job, "requeue")

    # --- preparation and release ---

    def _preparation_finished(self, run: Run, end: Exit) -> None:
        world, job, node = self._world, run.job, run.node
        if job is None or job.spec.preparation is None:
            return
        preparation = node.preparations.get(job.id.lower())
        if preparation is not None and run.stop is None:
            self._preparation_ended(preparation, job, node, end)
        elif preparation is not None:
            node.preparations.pop(job.id.lower(), None)
        world.node_rules.release(node, run)
        world.job_rules.proceed(job)

    def _preparation_ended(self, preparation: Preparation, job: Job, node: Node, end: Exit) -> None:
        spec, execution = job.spec.preparation, preparation.execution
        if spec is None:
            return
        if end.stage == "lost":
            self._launch_aside(RunKind.PREPARATION, job, node)
            return
        execution.exit_code = end.code
        execution.failure = end.failure or exit_failure(end)
        limit = spec.command.max_retries or 0
        if execution.failure is not None and (limit < 0 or execution.retries < limit):
            execution.retries += 1
            execution.last_retry_at = self._world.now
            self._launch_aside(RunKind.PREPARATION, job, node)
            return
        execution.ended_at = self._world.now
        preparation.state = "completed"
        waiting, preparation.waiting = preparation.waiting, []
        for run in waiting:
            if run.task is None or run.stop is not None:
                continue
            if execution.failure is None:
                self._begin(run, run.task)
            else:  # the task may run on another node
                self.stop(run, StopReason(requeue=True))

    def release_nodes(self, job: Job) -> bool:
        """Run the job release task where the preparation task ran. True: something runs now."""
        if job.spec.release is None:
            return False
        started = False
        for node in tuple(job.prepared_nodes.values()):
            preparation = node.preparations.get(job.id.lower())
            if preparation is not None and preparation.release is None:
                preparation.release = Execution(started_at=self._world.now)
                self._launch_aside(RunKind.RELEASE, job, node)
                started = True
        return started

    def _release_finished(self, run: Run, end: Exit) -> None:
        job, node = run.job, run.node
        preparation = node.preparations.get(job.id.lower()) if job is not None else None
        if preparation is not None and preparation.release is not None:
            preparation.release.exit_code = end.code
            preparation.release.failure = TASK_ENDED if run.stop is not None else end.failure or exit_failure(end)
            preparation.release.ended_at = self._world.now
            preparation.release_state = "completed"
        self._world.node_rules.release(node, run)
        if job is not None:
            self._world.job_rules.proceed(job)

    def releasing(self, job: Job) -> bool:
        """Whether a preparation or release task of the job is still running somewhere."""
        for node in job.prepared_nodes.values():
            if any(run.job is job and run.kind is not RunKind.TASK for run in node.runs.values()):
                return True
        return False

    def node_lost(self, node: Node) -> None:
        """The node's disk is gone, and what was prepared on it."""
        for job_id, preparation in tuple(node.preparations.items()):
            job = self._world.jobs.get(job_id)
            if job is not None:
                job.past_preparations[node.id.lower()] = (node.id, preparation)
                job.prepared_nodes.pop(node.id.lower(), None)
                self._world.job_rules.proceed(job)
        node.preparations.clear()

    def node_restarted(self, node: Node, *, wiped: bool) -> None:
        """After a reboot preparation tasks run again where the job says so; after a reimage always."""
        for job_id in tuple(node.preparations):
            job = self._world.jobs.get(job_id)
            spec = job.spec.preparation if job is not None else None
            if wiped or spec is None or spec.rerun_on_reboot or not node.preparations[job_id].usable:
                node.preparations.pop(job_id)

    # --- ground ---

    def move(self, task: Task, state: TaskState) -> None:
        if state not in TASK_MOVES[task.state]:
            raise RuntimeError(f"task {task.id}: {task.state} cannot become {state}")
        self.count(task, -1)
        task.previous_state, task.previous_state_at = task.state, task.state_at
        task.state, task.state_at = state, self._world.now
        self.count(task, 1)
        if state is TaskState.COMPLETED:
            pool = self._world.pool_of(task.job)
            if pool is not None:
                pool.succeeded_tasks += task.execution.succeeded
                pool.failed_tasks += not task.execution.succeeded
                self._world.save(pool)
        self._world.revise(task)

    @staticmethod
    def count(task: Task, amount: int) -> None:
        succeeded = task.execution.failure is None
        task.job.counts.add(task.state, amount, succeeded=succeeded)
        task.job.slot_counts.add(task.state, amount * task.slots, succeeded=succeeded)
