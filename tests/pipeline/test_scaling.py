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


def samples(pending: Mapping[int, float], *, minutes: int = 60, preempted: float = 0) -> SampleStore:
    """A sample each 30 s; `pending` says how many tasks from so many minutes ago on."""
    store = SampleStore()
    for step in range(minutes * 2, -1, -1):
        since = [tasks for ago, tasks in sorted(pending.items(), reverse=True) if ago >= step / 2]
        row = {"$PendingTasks": since[-1] if since else 0, "$PreemptedNodeCount": preempted}
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


def test_one_node_stays_warm_while_there_was_work_within_the_patience() -> None:
    work_ended_six_minutes_ago = samples({60: 8, 6: 0})
    patient = PoolSettings(scale_down_patience=10)
    assert evaluate(patient, work_ended_six_minutes_ago, spot=8).target_low_priority == 1
    assert evaluate(patient, samples({60: 8, 12: 0}), spot=8).target_low_priority == 0
    hasty = PoolSettings(scale_down_patience=0)
    assert evaluate(hasty, work_ended_six_minutes_ago, spot=8).target_low_priority == 0


def test_patience_starts_no_node() -> None:
    assert evaluate(PoolSettings(), samples({60: 8, 6: 0}), spot=0).target_low_priority == 0


def test_the_pool_grows_by_steps_where_a_limit_is_set() -> None:
    assert evaluate(PoolSettings(burst_nodes=2), samples({60: 9}), spot=3).target_low_priority == 5


@pytest.mark.parametrize(("tasks", "expected"), [(0, (0, 0)), (1, (1, 0)), (2, (2, 0)), (5, (2, 3))])
def test_the_first_nodes_are_dedicated_ones(tasks: int, expected: tuple[int, int]) -> None:
    evaluation = evaluate(PoolSettings(dedicated_nodes=2), samples({60: tasks}))
    assert (evaluation.target_dedicated, evaluation.target_low_priority) == expected


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
