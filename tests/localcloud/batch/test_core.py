"""The state machine under a virtual clock: what would take hours, or luck, with processes."""

from collections.abc import Callable

import pytest

from localcloud.batch.core import (
    Account,
    AllocationGrant,
    CommandSpec,
    Exit,
    JobSpec,
    NodeGone,
    NodeRecord,
    NodeTimes,
    Outcome,
    PoolSpec,
    Quotas,
    Refused,
    TaskSpec,
    VirtualDriver,
)
from localcloud.batch.core.entities import Run
from localcloud.batch.core.states import Deallocation, FillType, NodeState, TaskState

T0 = 1_800_000_000.0
COMMAND = CommandSpec(command_line="work")
EXACT = NodeTimes(allocation=(10, 10), creating=(20, 20), starting=(30, 30), restarting=(5, 5))


def simulation(
    *, seconds: float = 100.0, nodes: NodeTimes = EXACT, quotas: Quotas | None = None, seed: int = 1
) -> tuple[Account, VirtualDriver]:
    account = Account(name="sim", now=T0, seed=seed, nodes=nodes, quotas=quotas)
    return account, VirtualDriver(account, duration=lambda _: Outcome(seconds=seconds))


def add(account: Account, job_id: str, *names: str, command: CommandSpec = COMMAND, slots: int = 1) -> None:
    for name in names:
        account.add_task(job_id, TaskSpec(id=name, command=command, required_slots=slots))


def placed(account: Account, job_id: str) -> dict[str, str | None]:
    return {t.id: t.node_id if t.run else None for t in account.job(job_id).tasks.values()}


def test_a_node_is_paid_from_its_allocation_and_usable_after_its_boot() -> None:
    account, driver = simulation()
    account.create_pool(PoolSpec(id="p", target_low_priority=1))
    driver.run_until(T0 + 59)
    assert [n.state for n in account.pool("p").nodes.values()] == [NodeState.STARTING]
    driver.run_until(T0 + 61)
    (record,) = account.node_records("p")
    assert (record.allocated_at, record.usable_at) == (T0 + 10, T0 + 60)
    assert next(iter(account.pool("p").nodes.values())).state is NodeState.IDLE


def test_the_record_of_a_node_tells_how_long_it_was_busy() -> None:
    account, driver = simulation(seconds=100)
    account.create_pool(PoolSpec(id="p", target_dedicated=1, task_slots_per_node=2))
    account.create_job(JobSpec(id="j", pool_id="p"))
    add(account, "j", "a", "b", "c")
    driver.at(T0 + 1000, lambda: account.resize_pool("p", dedicated=0))
    driver.run_until(T0 + 2000)
    (record,) = driver.gone
    assert (record.busy_seconds, record.slot_seconds, record.removed_at) == (200, 300, T0 + 1000)


def test_the_same_seed_gives_the_same_history() -> None:
    def history(seed: int) -> list[NodeRecord]:
        times = NodeTimes(creating=(10, 90), preemptions_per_hour=2, restored=(60, 600))
        account, driver = simulation(nodes=times, seed=seed)
        account.create_pool(PoolSpec(id="p", target_low_priority=5))
        account.create_job(JobSpec(id="j", pool_id="p"))
        add(account, "j", *(f"t{n}" for n in range(100)))
        driver.at(T0 + 7200, lambda: account.resize_pool("p", low_priority=0))
        driver.run_until(T0 + 8000)
        return driver.gone

    assert history(3) == history(3)
    assert history(3) != history(4)


@pytest.mark.parametrize(("fill", "loads"), [(FillType.SPREAD, [2, 2]), (FillType.PACK, [4])])
def test_tasks_are_spread_or_packed(fill: FillType, loads: list[int]) -> None:
    account, driver = simulation()
    account.create_pool(PoolSpec(id="p", target_dedicated=2, task_slots_per_node=4, fill=fill))
    account.create_job(JobSpec(id="j", pool_id="p"))
    driver.run_until(T0 + 100)
    add(account, "j", "a", "b", "c", "d")
    nodes = list(placed(account, "j").values())
    assert sorted(nodes.count(n) for n in set(nodes)) == loads


def test_the_job_of_higher_priority_goes_first_and_equals_take_turns() -> None:
    account, driver = simulation(seconds=10)
    account.create_pool(PoolSpec(id="p", target_dedicated=1))
    order: list[str] = []

    def noted(run: Run) -> Outcome:
        order.append(name_of(run))
        return Outcome(seconds=10)

    driver = VirtualDriver(account, duration=noted)
    for job_id, priority in (("low", -5), ("a", 0), ("b", 0), ("high", 5)):
        account.create_job(JobSpec(id=job_id, pool_id="p", priority=priority))
        add(account, job_id, f"{job_id}1", f"{job_id}2")
    driver.run_until(T0 + 300)
    assert order == ["high1", "high2", "a1", "b1", "a2", "b2", "low1", "low2"]


def name_of(run: Run) -> str:
    return run.task.id if run.task is not None else run.kind.value


def test_tasks_of_a_job_that_allows_it_give_way_to_a_higher_priority() -> None:
    account, driver = simulation(seconds=1000)
    account.create_pool(PoolSpec(id="p", target_dedicated=1, task_slots_per_node=2))
    account.create_job(JobSpec(id="low", pool_id="p", priority=0, allow_task_preemption=True))
    account.create_job(JobSpec(id="firm", pool_id="p", priority=-1))
    account.create_job(JobSpec(id="high", pool_id="p", priority=1))
    add(account, "low", "older", "younger")
    driver.run_until(T0 + 100)
    driver.at(T0 + 200, lambda: add(account, "high", "urgent"))
    driver.run_until(T0 + 300)
    assert account.task("high", "urgent").state is TaskState.RUNNING
    assert account.task("low", "older").state is TaskState.RUNNING
    assert account.task("low", "younger").execution.requeues == 1
    driver.run_until(T0 + 5000)
    assert account.job("low").counts.succeeded == 2


def test_a_job_with_a_limit_runs_no_more_tasks_than_that_at_once() -> None:
    account, driver = simulation(seconds=50)
    account.create_pool(PoolSpec(id="p", target_dedicated=1, task_slots_per_node=8))
    account.create_job(JobSpec(id="j", pool_id="p", max_parallel_tasks=2))
    add(account, "j", *(f"t{n}" for n in range(6)))
    driver.run_until(T0 + 70)
    assert account.job("j").counts.running == 2
    driver.run_until(T0 + 300)
    assert account.job("j").counts.succeeded == 6


def test_a_preempted_nodes_task_is_requeued_which_is_no_retry_and_the_id_stays() -> None:
    account, driver = simulation(nodes=NodeTimes(restored=(500, 500)))
    account.create_pool(PoolSpec(id="p", target_low_priority=1))
    account.create_job(JobSpec(id="j", pool_id="p"))
    add(account, "j", "t")
    driver.run_until(T0 + 50)
    (node_id,) = account.preempt("p")
    driver.run_until(T0 + 60)
    task = account.task("j", "t")
    assert (task.state, task.execution.requeues, task.execution.retries) == (TaskState.ACTIVE, 1, 0)
    assert account.metrics("p")["$PreemptedNodeCount"] == 1
    assert account.metrics("p")["$CurrentLowPriorityNodes"] == 1
    driver.run_until(T0 + 1000)
    assert account.node("p", node_id).tasks_succeeded == 1
    (record,) = account.node_records("p")
    assert record.preempted_seconds == 500


@pytest.mark.parametrize(
    ("option", "state", "ended_by"),
    [
        (Deallocation.REQUEUE, TaskState.ACTIVE, T0 + 200),
        (Deallocation.TERMINATE, TaskState.COMPLETED, T0 + 200),
        (Deallocation.TASK_COMPLETION, TaskState.COMPLETED, T0 + 1060),
    ],
)
def test_a_node_leaves_as_the_deallocation_option_says(option: Deallocation, state: TaskState, ended_by: float) -> None:
    account, driver = simulation(seconds=1000)
    account.create_pool(PoolSpec(id="p", target_dedicated=1))
    account.create_job(JobSpec(id="j", pool_id="p"))
    add(account, "j", "t")
    driver.at(T0 + 200, lambda: account.resize_pool("p", dedicated=0, option=option, timeout=7200))
    driver.run_until(T0 + 2000)
    assert account.task("j", "t").state is state
    assert [r.removed_at for r in driver.gone] == [ended_by]


def test_retained_data_keeps_the_node_until_its_tasks_files_expire() -> None:
    account, driver = simulation(seconds=100)
    account.create_pool(PoolSpec(id="p", target_dedicated=1))
    account.create_job(JobSpec(id="j", pool_id="p"))
    add(account, "j", "t", command=CommandSpec(command_line="x", retention=500))
    option = Deallocation.RETAINED_DATA
    driver.at(T0 + 200, lambda: account.resize_pool("p", dedicated=0, option=option, timeout=7200))
    driver.run_until(T0 + 2000)
    assert [r.removed_at for r in driver.gone] == [T0 + 160 + 500]


def test_idle_nodes_leave_before_busy_ones_and_dead_ones_before_both() -> None:
    account, driver = simulation(seconds=10_000)
    account.create_pool(PoolSpec(id="p", target_low_priority=3))
    account.create_job(JobSpec(id="j", pool_id="p"))
    driver.run_until(T0 + 100)
    add(account, "j", "t")
    (busy,) = (n for n in account.pool("p").nodes.values() if n.runs)
    (dead, idle) = (n.id for n in account.pool("p").nodes.values() if not n.runs)
    account.preempt_node("p", dead)
    account.resize_pool("p", low_priority=2)
    driver.run_until(T0 + 200)
    assert set(account.pool("p").nodes) == {busy.id, idle}
    account.resize_pool("p", low_priority=1)
    driver.run_until(T0 + 300)
    assert set(account.pool("p").nodes) == {busy.id}


def test_an_allocation_that_fails_leaves_resize_errors_and_a_later_resize_mends_it() -> None:
    account, driver = simulation()
    account.fail_next_allocations("p", AllocationGrant(delays=(1.0,), error=("AllocationFailed", "no capacity")))
    account.create_pool(PoolSpec(id="p", target_low_priority=3))
    driver.run_until(T0 + 100)
    pool = account.pool("p")
    assert (pool.current(dedicated=False), pool.resize_errors[0][0]) == (1, "AllocationFailed")
    account.resize_pool("p", low_priority=3)
    driver.run_until(T0 + 200)
    assert (pool.current(dedicated=False), pool.resize_errors) == (3, [])


def test_a_sticky_allocation_failure_holds_autoscale_until_it_is_enabled_again() -> None:
    account, driver = simulation()
    grant = AllocationGrant(delays=(), error=("AllocationFailed", "no capacity"), sticky=True)
    account.fail_next_allocations(None, grant)
    formula = "$TargetLowPriorityNodes=2"
    account.create_pool(PoolSpec(id="p", autoscale_formula=formula, autoscale_interval=300))
    driver.run_until(T0 + 3600)
    assert not account.pool("p").nodes
    account.disable_autoscale("p")
    account.enable_autoscale("p", formula, 300)
    driver.run_until(T0 + 3700)
    assert len(account.pool("p").nodes) == 2


def test_a_resize_that_takes_too_long_times_out() -> None:
    account, driver = simulation(nodes=NodeTimes(allocation=(5000, 5000)))
    account.create_pool(PoolSpec(id="p", target_dedicated=1, resize_timeout=600))
    driver.run_until(T0 + 601)
    assert account.pool("p").allocation == "steady"
    assert [code for code, _ in account.pool("p").resize_errors] == ["AllocationTimedout"]


def test_cores_are_counted_against_the_quota_of_their_kind() -> None:
    account, driver = simulation(quotas=Quotas(dedicated_cores=5, low_priority_cores=100))
    account.create_pool(PoolSpec(id="p", cores_per_node=2, target_dedicated=4, target_low_priority=4))
    driver.run_until(T0 + 100)
    pool = account.pool("p")
    assert (pool.current(dedicated=True), pool.current(dedicated=False)) == (2, 4)
    assert [code for code, _ in pool.resize_errors] == ["AccountCoreQuotaReached"]


def test_active_jobs_are_limited_and_completed_ones_do_not_count() -> None:
    account, _ = simulation(quotas=Quotas(active_jobs=1))
    account.create_job(JobSpec(id="a", pool_id="p"))
    with pytest.raises(Refused, match="ActiveJobAndScheduleQuotaReached"):
        account.create_job(JobSpec(id="b", pool_id="p"))
    account.terminate_job("a")
    account.create_job(JobSpec(id="b", pool_id="p"))


def test_samples_are_taken_each_30_seconds_and_a_formula_sees_them_a_minute_late() -> None:
    account, driver = simulation(seconds=10_000)
    formula = "$TargetDedicatedNodes = $PendingTasks.Count() > 0 ? 1 : 0; seen = $PendingTasks.Count()"
    account.create_pool(PoolSpec(id="p", autoscale_formula=formula, autoscale_interval=300))
    run = account.pool("p").autoscale_run
    assert run is not None
    assert run.results.endswith("seen=0")
    driver.run_until(T0 + 301)
    run = account.pool("p").autoscale_run
    assert run is not None
    assert run.results.endswith("seen=9")  # 0 to 240 of the eleven that were taken


def test_autoscale_is_evaluated_when_it_is_set_and_then_on_its_interval() -> None:
    account, driver = simulation()
    account.create_pool(PoolSpec(id="p", autoscale_formula="$TargetDedicatedNodes=0", autoscale_interval=600))
    times: list[float] = []

    def note() -> None:
        run = account.pool("p").autoscale_run
        if run is not None and run.at not in times:
            times.append(run.at)

    for minute in range(31):
        driver.at(T0 + 60 * minute + 1, note)
    driver.run_until(T0 + 1802)
    assert times == [T0, T0 + 600, T0 + 1200, T0 + 1800]


def test_an_evaluation_that_fails_keeps_the_targets() -> None:
    account, driver = simulation()
    formula = "$TargetDedicatedNodes = $CurrentDedicatedNodes == 0 ? 2 : avg($CPUPercent.GetSample(1, 1))"
    account.create_pool(PoolSpec(id="p", autoscale_formula=formula, autoscale_interval=300))
    driver.run_until(T0 + 400)
    pool = account.pool("p")
    assert pool.autoscale_run is not None
    assert pool.autoscale_run.error is not None
    assert pool.target_dedicated == 2


def test_a_task_retries_only_for_its_exit_code_and_only_as_often_as_allowed() -> None:
    account, _ = simulation()
    account.create_pool(PoolSpec(id="p", target_dedicated=1))
    account.create_job(JobSpec(id="j", pool_id="p"))
    driver = VirtualDriver(account, duration=lambda _: Outcome(seconds=1, exit_code=1))
    add(account, "j", "t", command=CommandSpec(command_line="x", max_retries=3))
    driver.run_until(T0 + 200)
    task = account.task("j", "t")
    assert (task.state, task.execution.retries, task.execution.exit_code) == (TaskState.COMPLETED, 3, 1)


def test_the_end_of_a_run_that_is_not_known_changes_nothing() -> None:
    account, _ = simulation()
    assert account.finished(999, Exit(code=0)) is False


def test_deleting_a_pool_requeues_its_tasks_and_they_run_when_the_pool_is_there_again() -> None:
    account, driver = simulation(seconds=100)
    account.create_pool(PoolSpec(id="p", target_dedicated=1))
    account.create_job(JobSpec(id="j", pool_id="p"))
    add(account, "j", "t")
    driver.at(T0 + 80, lambda: account.delete_pool("p"))
    driver.run_until(T0 + 100)
    assert "p" not in account.pools
    assert account.task("j", "t").state is TaskState.ACTIVE
    account.create_pool(PoolSpec(id="p", target_dedicated=1))
    driver.run_until(T0 + 500)
    assert account.task("j", "t").execution.succeeded


def test_a_month_of_small_tasks_is_simulated_without_losing_one() -> None:
    nodes = NodeTimes(creating=(60, 120), starting=(30, 60), preemptions_per_hour=0.2, restored=(300, 900))
    account, driver = simulation(seconds=150, nodes=nodes)
    formula = (
        "$TargetLowPriorityNodes = min(10, $PendingTasks.GetSamplePercent(180 * TimeInterval_Second) < 30 ? 1 : "
        "avg($PendingTasks.GetSample(180 * TimeInterval_Second, 30))); $NodeDeallocationOption = taskcompletion;"
    )
    account.create_pool(PoolSpec(id="p", autoscale_formula=formula, autoscale_interval=300))
    account.create_job(JobSpec(id="j", pool_id="p"))
    for n in range(2000):
        driver.at(T0 + n * 1296, adder(account, f"t{n}"))
    driver.run_until(T0 + 31 * 86_400)
    assert account.job("j").counts.succeeded == 2000
    assert sum(t.execution.requeues for t in account.job("j").tasks.values()) > 0
    assert not any(isinstance(effect, NodeGone) for effect in account.take_effects())


def adder(account: Account, name: str) -> Callable[[], object]:
    return lambda: account.add_task("j", TaskSpec(id=name, command=COMMAND))
