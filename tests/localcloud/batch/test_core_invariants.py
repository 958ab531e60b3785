"""Whatever users and machines do, the account's books agree with themselves."""

import random
from contextlib import suppress

import pytest

from localcloud.batch.core import (
    Account,
    CommandSpec,
    JobSpec,
    NodeTimes,
    Outcome,
    PoolSpec,
    Refused,
    StartTaskSpec,
    TaskSpec,
    VirtualDriver,
)
from localcloud.batch.core.specs import FOREVER, WEEK, PreparationSpec
from localcloud.batch.core.states import Deallocation, NodeState, TaskState

T0 = 1_800_000_000.0
COMMAND = CommandSpec(command_line="work")
JOBS = ("j0", "j1", "j2")


def check(account: Account) -> None:
    """Slots, buckets, counts and runs say the same as nodes and tasks do."""
    for node in account.pool("p").nodes.values():
        used = sum(run.slots for run in node.runs.values())
        assert node.slots_free == node.pool.spec.task_slots_per_node - used >= 0
        assert node.bucket == (node.slots_free if node.takes_tasks else 0)
        assert not (node.state is NodeState.IDLE and node.runs)
    for job in account.jobs.values():
        states = [task.state for task in job.tasks.values()]
        running = states.count(TaskState.RUNNING) + states.count(TaskState.PREPARING)
        expected = (states.count(TaskState.ACTIVE), running, states.count(TaskState.COMPLETED))
        assert (job.counts.active, job.counts.running, job.counts.completed) == expected
        assert job.ready_count == sum(task.queued for task in job.tasks.values())
        for task in job.tasks.values():
            assert (task.run is not None) == (task.state in (TaskState.RUNNING, TaskState.PREPARING))


class Users:
    """Random operations, allowed or not."""

    def __init__(self, account: Account, draw: random.Random) -> None:
        self._account = account
        self._draw = draw
        self._made = 0

    def act(self) -> None:
        action = self._draw.choice(
            (self._add, self._add, self._add, self._resize, self._preempt, self._node, self._job, self._task)
        )
        with suppress(Refused, IndexError):
            action()
        check(self._account)

    def _add(self) -> None:
        draw = self._draw
        self._made += 1
        limit, retention = draw.choice((FOREVER, 50.0)), draw.choice((100.0, WEEK))
        command = CommandSpec(
            command_line="x", max_retries=draw.choice((0, 1)), max_wall_clock=limit, retention=retention
        )
        depends = (str(draw.randrange(1, self._made + 1)),) if draw.random() < 0.2 else ()
        slots = draw.choice((1, 1, 2, 4))
        spec = TaskSpec(id=str(self._made), command=command, required_slots=slots, depends_on=depends)
        self._account.add_task(draw.choice(JOBS), spec)

    def _resize(self) -> None:
        draw = self._draw
        option, timeout = draw.choice(list(Deallocation)), draw.choice((300.0, 3000.0))
        sizes = draw.randrange(4), draw.randrange(5)
        if draw.random() < 0.2:
            self._account.stop_resize("p")
        self._account.resize_pool("p", dedicated=sizes[0], low_priority=sizes[1], option=option, timeout=timeout)

    def _preempt(self) -> None:
        self._account.preempt("p", 2)

    def _node(self) -> None:
        draw, account = self._draw, self._account
        node_id = draw.choice(list(account.pool("p").nodes.values())).id
        option = draw.choice(list(Deallocation))
        match draw.randrange(4):
            case 0:
                account.maintain_node("p", node_id, draw.choice(("reboot", "reimage", "deallocate")), option)
            case 1:
                account.start_node("p", node_id)
            case 2:
                account.disable_scheduling("p", node_id, option)
            case _:
                account.enable_scheduling("p", node_id)

    def _job(self) -> None:
        job_id = self._draw.choice(JOBS)
        if self._draw.random() < 0.5:
            self._account.disable_job(job_id, self._draw.choice(("requeue", "terminate", "wait")))
        else:
            self._account.enable_job(job_id)

    def _task(self) -> None:
        job_id = self._draw.choice(JOBS)
        task_id = self._draw.choice(list(self._account.job(job_id).tasks.values())).id
        account = self._account
        self._draw.choice((account.terminate_task, account.delete_task, account.reactivate_task))(job_id, task_id)


@pytest.mark.parametrize("seed", range(12))
def test_the_books_agree_after_every_operation(seed: int) -> None:
    draw = random.Random(seed)
    times = NodeTimes(creating=(5, 50), starting=(5, 50), preemptions_per_hour=seed % 2 * 3, restored=(10, 100))
    account = Account(name="books", now=T0, seed=seed, nodes=times)
    driver = VirtualDriver(
        account, duration=lambda _: Outcome(seconds=draw.uniform(1, 200), exit_code=draw.choice((0, 0, 0, 1)))
    )
    start = StartTaskSpec(command=CommandSpec(command_line="s", max_retries=2), wait_for_success=seed % 3 == 0)
    account.create_pool(
        PoolSpec(id="p", task_slots_per_node=4, target_low_priority=3, target_dedicated=2, start_task=start)
    )
    for number, job_id in enumerate(JOBS):
        preparation = PreparationSpec(command=COMMAND) if number == 1 else None
        account.create_job(
            JobSpec(
                id=job_id,
                pool_id="p",
                priority=number,
                max_parallel_tasks=draw.choice((-1, 2)),
                uses_dependencies=True,
                allow_task_preemption=number == 0,
                preparation=preparation,
            )
        )
    users = Users(account, draw)
    for step in range(300):
        driver.at(T0 + 15 * step, users.act)
    driver.run_until(T0 + 6000)
    check(account)
