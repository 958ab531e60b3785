"""The pool's formula, evaluated: what it asks for under a given state of the pool."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.batch.autoscale import Evaluation, SampleStore, compile_formula
from pipeline.scaling import MAX_BYTES, build_formula
from shared.app_settings import PoolSettings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def samples(
    pending: Mapping[int, float], *, minutes: int = 80, preempted: float = 0, running: float = 0
) -> SampleStore:
    """A sample each 30 s; `pending` says how many tasks from so many minutes ago on, `running` how many run at most."""
    store = SampleStore()
    for step in range(minutes * 2, -1, -1):
        since = [tasks for ago, tasks in sorted(pending.items(), reverse=True) if ago >= step / 2]
        tasks = since[-1] if since else 0
        row = {"$PendingTasks": tasks, "$RunningTasks": min(tasks, running), "$PreemptedNodeCount": preempted}
        row["$ActiveTasks"] = tasks - row["$RunningTasks"]
        store.record(NOW - timedelta(seconds=30 * step), row)
    return store


def evaluate(settings: PoolSettings, store: SampleStore, *, dedicated: int = 0, spot: int = 0) -> Evaluation:
    current = {"$TargetDedicatedNodes": dedicated, "$TargetLowPriorityNodes": spot}
    evaluation = compile_formula(build_formula(settings)).evaluate(now=NOW, samples=store, current=current)
    assert evaluation.error is None
    return evaluation


def test_as_many_nodes_as_the_tasks_fill_rounded_up() -> None:
    evaluation = evaluate(PoolSettings(slots_per_node=4), samples({60: 9}))
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == (0, 3)


def test_never_more_than_the_cap() -> None:
    assert evaluate(PoolSettings(max_nodes=7), samples({60: 900})).target_low_priority == 7


def test_no_nodes_when_the_work_is_long_gone() -> None:
    assert evaluate(PoolSettings(), samples({}), spot=5).target_low_priority == 0


def test_a_node_is_removed_only_when_its_tasks_are_done() -> None:
    assert evaluate(PoolSettings(), samples({})).deallocation_option == "taskcompletion"


def test_too_few_samples_leave_the_pool_as_it_is() -> None:
    evaluation = evaluate(PoolSettings(dedicated_nodes=1), SampleStore(), dedicated=1, spot=3)
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == (1, 3)


def test_work_that_keeps_coming_keeps_the_nodes_of_running_tasks() -> None:
    evaluation = evaluate(PoolSettings(), samples({80: 6}, running=6), spot=6)
    assert evaluation.target_low_priority == 6


def test_the_end_of_a_single_burst_lets_nodes_go_as_their_tasks_end() -> None:
    """All that is left of it runs, nothing waits, and before there was nothing but a queue."""
    evaluation = evaluate(PoolSettings(), samples({50: 200, 8: 6}, running=6), spot=6)
    assert evaluation.target_low_priority == 0


RECURRING = {80: 0, 30: 1, 28: 0, 10: 1, 8: 0}


def test_one_node_stays_warm_for_the_patience_where_work_comes_again_and_again() -> None:
    store = samples(RECURRING, running=1)
    assert evaluate(PoolSettings(scale_down_patience=20), store, spot=3).target_low_priority == 1
    assert evaluate(PoolSettings(scale_down_patience=5), store, spot=3).target_low_priority == 0
    assert evaluate(PoolSettings(scale_down_patience=0), store, spot=3).target_low_priority == 0


def test_a_lone_image_holds_no_node() -> None:
    assert evaluate(PoolSettings(), samples({80: 0, 12: 1, 4: 0}, running=1), spot=1).target_low_priority == 0


def test_patience_starts_no_node() -> None:
    assert evaluate(PoolSettings(), samples(RECURRING, running=1), spot=0).target_low_priority == 0


def test_the_pool_grows_by_steps_where_a_limit_is_set() -> None:
    assert evaluate(PoolSettings(burst_nodes=2), samples({60: 9}), spot=3).target_low_priority == 5


@pytest.mark.parametrize(("tasks", "expected"), [(0, (0, 0)), (1, (1, 0)), (2, (2, 0)), (5, (2, 3))])
def test_the_first_nodes_are_dedicated_ones(tasks: int, expected: tuple[int, int]) -> None:
    evaluation = evaluate(PoolSettings(dedicated_nodes=2), samples({60: tasks}))
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == expected


def test_preempted_nodes_are_asked_for_again_up_to_the_cap() -> None:
    store = samples({60: 5}, preempted=3)
    assert evaluate(PoolSettings(max_nodes=10), store, spot=5).target_low_priority == 8
    assert evaluate(PoolSettings(max_nodes=6), store, spot=5).target_low_priority == 6


def test_dedicated_nodes_stand_in_for_preempted_ones_and_the_cap_holds() -> None:
    settings = PoolSettings(max_nodes=6, spill_over=True)
    evaluation = evaluate(settings, samples({60: 50}, preempted=4), spot=6)
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == (4, 2)


def test_preempted_nodes_are_not_replaced_when_there_is_no_work() -> None:
    evaluation = evaluate(PoolSettings(spill_over=True), samples({}, preempted=4), spot=4)
    assert evaluation.target_dedicated == 0


SETTINGS = st.builds(
    PoolSettings,
    max_nodes=st.integers(1, 5000),
    slots_per_node=st.integers(1, 256),
    dedicated_nodes=st.integers(0, 5000),
    spill_over=st.booleans(),
    scale_down_patience=st.integers(0, 10_000),
    burst_nodes=st.integers(0, 5000),
)


COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(SETTINGS, st.floats(0, 1e6), st.integers(0, 12), st.floats(0, 5000), COUNTS)
def test_any_settings_and_state_give_targets_within_the_cap(
    settings: PoolSettings, tasks: float, minutes: int, preempted: float, targets: tuple[int, int]
) -> None:
    store = samples({minutes: tasks}, minutes=minutes, preempted=preempted)
    evaluation = evaluate(settings, store, dedicated=targets[0], spot=targets[1])
    assert 0 <= evaluation.target_dedicated + evaluation.target_low_priority <= settings.max_nodes
    assert len(build_formula(settings).encode()) < MAX_BYTES
