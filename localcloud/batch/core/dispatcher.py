"""Which task goes to which node: priorities, order of jobs, slots, spread and pack.

A pool keeps its nodes in buckets by free slots and its jobs with runnable tasks by priority, so that one placement
costs the same whatever the number of nodes and tasks.
"""

from collections import deque

from localcloud.batch.core.entities import Job, Node, Pool, Run, StopReason, Task
from localcloud.batch.core.states import FillType, JobState
from localcloud.batch.core.world import World


class Dispatcher:
    """Matches ready tasks with free slots."""

    def __init__(self, world: World) -> None:
        self._world = world

    def settle(self) -> None:
        """Place what can be placed, in all pools where something changed."""
        unsettled = self._world.unsettled
        while unsettled:
            _, pool = unsettled.popitem()
            self._place(pool)
            self._make_room(pool)

    def index(self, node: Node) -> None:
        """Put the node where its free slots say, or nowhere if it takes no tasks."""
        pool = node.pool
        bucket = node.slots_free if node.takes_tasks else 0
        if bucket == node.bucket:
            return
        if node.bucket:
            del pool.free[node.bucket][node.id]
        if bucket:
            pool.free.setdefault(bucket, {})[node.id] = node
            if bucket > node.bucket:
                self._world.unsettle(pool)
        node.bucket = bucket

    def enqueue(self, task: Task, *, first: bool = False) -> None:
        """The task may run now. `first`: ahead of the others, for a task that was running already."""
        job = task.job
        if task.queued or task.blockers:
            return
        task.queued = True
        queue = job.ready.setdefault(task.slots, deque())
        if first:
            queue.appendleft(task)
        else:
            queue.append(task)
        job.ready_count += 1
        self.offer(job)

    def withdraw(self, task: Task) -> None:
        """The task may not run any more; its place in the queue is skipped when it is met."""
        if task.queued:
            task.queued = False
            task.job.ready_count -= 1

    def offer(self, job: Job) -> None:
        """The job may have gained something to run: it is considered at the next placement."""
        pool = self._world.pool_of(job)
        if pool is not None and self._runnable(job):
            pool.ready_jobs.setdefault(job.spec.priority, {})[job.id] = job
            self._world.unsettle(pool)

    def retract(self, pool: Pool, job: Job, priority: int) -> None:
        jobs = pool.ready_jobs.get(priority)
        if jobs is not None and jobs.pop(job.id, None) is not None and not jobs:
            del pool.ready_jobs[priority]

    @staticmethod
    def _runnable(job: Job) -> bool:
        parallel = job.spec.max_parallel_tasks
        return job.state is JobState.ACTIVE and job.ready_count > 0 and (parallel < 0 or len(job.runs) < parallel)

    def _place(self, pool: Pool) -> None:
        if not any(pool.free.values()):
            return
        for priority in sorted(pool.ready_jobs, reverse=True):
            jobs = pool.ready_jobs[priority]
            stuck: set[str] = set()
            while jobs and len(stuck) < len(jobs):
                job = self._next_job(pool, jobs, stuck)
                if not self._runnable(job):
                    del jobs[job.id]
                    continue
                placed = self._place_one(pool, job)
                if placed and not pool.spec.job_order_by_creation:
                    jobs[job.id] = jobs.pop(job.id)  # take turns
                if not placed:
                    stuck.add(job.id)
            if not jobs:
                del pool.ready_jobs[priority]

    @staticmethod
    def _next_job(pool: Pool, jobs: dict[str, Job], stuck: set[str]) -> Job:
        candidates = (job for key, job in jobs.items() if key not in stuck)
        if pool.spec.job_order_by_creation:
            return min(candidates, key=lambda job: job.seq)
        return next(candidates)

    def _place_one(self, pool: Pool, job: Job) -> bool:
        """Start the oldest ready task of the job for which a node has room."""
        best: Task | None = None
        for slots, queue in job.ready.items():
            while queue and not queue[0].queued:
                queue.popleft()
            if queue and (best is None or queue[0].seq < best.seq):
                needed = pool.spec.task_slots_per_node if queue[0].spec.run_exclusive else slots
                if any(bucket >= needed and nodes for bucket, nodes in pool.free.items()):
                    best = queue[0]
        if best is None:
            return False
        node = self._choose(pool, best)
        if node is None:
            return False
        job.ready[best.slots].popleft()
        best.queued = False
        job.ready_count -= 1
        self._world.work.assign(best, node)
        return True

    @staticmethod
    def _choose(pool: Pool, task: Task) -> Node | None:
        needed = pool.spec.task_slots_per_node if task.spec.run_exclusive else task.slots
        if task.spec.affinity_id:
            wanted = pool.nodes.get(task.spec.affinity_id.lower())
            if wanted is not None and wanted.bucket >= needed and _welcome(task, wanted):
                return wanted
        buckets = sorted(
            (b for b, nodes in pool.free.items() if b >= needed and nodes),
            reverse=pool.spec.fill is FillType.SPREAD,
        )
        for bucket in buckets:
            for node in pool.free[bucket].values():
                if _welcome(task, node):
                    return node
        return None

    def _make_room(self, pool: Pool) -> None:
        """Running tasks of jobs that allow it give way to a waiting one of higher priority, where that is enough."""
        if not any(job.spec.allow_task_preemption and job.runs for job in pool.live_jobs.values()):
            return
        for priority in sorted(pool.ready_jobs, reverse=True):
            for job in pool.ready_jobs[priority].values():
                task = self._oldest(job) if self._runnable(job) else None
                if task is not None:
                    self._make_room_for(task, pool, priority)
                    return

    @staticmethod
    def _oldest(job: Job) -> Task | None:
        waiting = (task for queue in job.ready.values() for task in queue if task.queued)
        return min(waiting, key=lambda task: task.seq, default=None)

    def _make_room_for(self, task: Task, pool: Pool, priority: int) -> None:
        """One run gives way, and only where that alone is enough: nothing is stopped in vain."""
        needed = pool.spec.task_slots_per_node if task.spec.run_exclusive else task.slots
        victims: list[Run] = []
        for node in pool.nodes.values():
            if node.takes_tasks and _welcome(task, node):
                enough = (r for r in node.runs.values() if r.launched and node.slots_free + r.slots >= needed)
                victims += [run for run in enough if _yields(run, priority)]
        if victims and all(run.stop is None for run in victims):
            victim = min(victims, key=lambda run: (_priority(run), -run.id))
            self._world.work.stop(victim, StopReason(requeue=True))


def _welcome(task: Task, node: Node) -> bool:
    """Whether the task may run on the node: not where its job's preparation failed, nor where it wants no such node."""
    preparation = node.preparations.get(task.job.id.lower())
    failed = preparation is not None and preparation.state == "completed" and not preparation.usable
    spec = task.job.spec.preparation
    blocked = failed and (spec is None or spec.wait_for_success)
    return not blocked and (node.dedicated or task.spec.allow_low_priority)


def _yields(run: Run, priority: int) -> bool:
    return run.job is not None and run.job.spec.allow_task_preemption and run.job.spec.priority < priority


def _priority(run: Run) -> int:
    return 0 if run.job is None else run.job.spec.priority
