"""After a restart: entities are back as they were remembered, every process is gone. Make an account of them again.

It is what Batch does when a machine crashes: nodes boot again, tasks that were running go back to the queue (or end,
where their end was asked for), timers go on.
"""

from localcloud.batch.core.entities import Job, Node, Task
from localcloud.batch.core.states import ENDED_JOBS, NodeState, TaskState
from localcloud.batch.core.world import World

_BOOTS_AGAIN = frozenset({NodeState.IDLE, NodeState.RUNNING, NodeState.OFFLINE, NodeState.WAITING_FOR_START_TASK})


def recover(world: World) -> None:
    """`world` holds pools with nodes, jobs with tasks and schedules, none of them indexed, no timer set."""
    for job in world.jobs.values():
        _recover_job(world, job)
    for pool in tuple(world.pools.values()):
        world.autoscaler.arm(pool)
        world.autoscaler.start_sampling(pool)
        world.fleet.arm(pool)
        for allocation in pool.arriving[:]:
            pool.arriving.remove(allocation)
            world.fleet.expect(pool, allocation)
        for node in tuple(pool.nodes.values()):
            _recover_node(world, node)
        world.fleet.settle(pool)
    for job in tuple(world.jobs.values()):
        for task in tuple(job.tasks.values()):
            if task.ending is not None:
                world.work.complete(task, task.ending, stage="command")
        world.dispatcher.offer(job)
        world.job_rules.proceed(job)
        world.job_rules.check_done(job)
    for schedule in world.schedules.values():
        world.schedule_rules.arm(schedule)
    world.dispatcher.settle()


def began_unremembered(world: World, job_id: str, task_id: str) -> None:
    """A task had begun in the moment before the end, too late to be remembered: its next start is a requeue, too."""
    job = world.jobs.get(job_id.lower())
    task = job.tasks.get(task_id.lower()) if job is not None else None
    if task is None or task.ending is not None or task.state is not TaskState.ACTIVE:
        return
    if task.execution.requeues == 0 and task.execution.retries == 0:
        _requeued(world, task)


def _requeued(world: World, task: Task) -> None:
    task.execution.requeues += 1
    task.execution.last_requeue_at = world.now
    world.revise(task)


def _recover_job(world: World, job: Job) -> None:
    pool = world.pool_of(job)
    if pool is not None and job.state not in ENDED_JOBS:
        pool.live_jobs[job.id.lower()] = job
    world.job_rules.arm(job)
    tasks = sorted(job.tasks.values(), key=lambda task: task.seq)
    job.tasks = {task.id.lower(): task for task in tasks}
    job.next_seq = tasks[-1].seq if tasks else 0
    for task in tasks:
        _recover_task(world, task)


def _recover_task(world: World, task: Task) -> None:
    if task.ending is None and task.state in (TaskState.RUNNING, TaskState.PREPARING):
        task.previous_state, task.previous_state_at = task.state, task.state_at
        task.state, task.state_at = TaskState.ACTIVE, world.now
        _requeued(world, task)
    world.work.count(task, 1)
    if task.ending is not None:
        return
    if task.state is TaskState.ACTIVE:
        world.task_rules.wait_for_others(task)
        world.dispatcher.enqueue(task)
    else:
        world.work.arm(task)


def _recover_node(world: World, node: Node) -> None:
    node.slots_free = node.pool.spec.task_slots_per_node
    node.slots_since = world.now
    for job_id, preparation in tuple(node.preparations.items()):
        job = world.jobs.get(job_id)
        if job is None or not preparation.usable:
            del node.preparations[job_id]
        else:
            job.prepared_nodes[node.id.lower()] = node
    if node.leaving is None and node.state in _BOOTS_AGAIN and node.pending is None:
        node.pending = "reboot"
    world.node_rules.recover(node)
