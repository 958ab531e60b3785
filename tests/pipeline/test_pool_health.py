"""What dispatch decides about a pool that is out of step, in trouble, or stuck."""

from dataclasses import replace

import pytest

from pipeline.pool_health import (
    BAD_NODE_AFTER,
    HEALING_WINDOW,
    MAX_HEALINGS,
    SHORT_AFTER,
    STEP_PATIENCE,
    DisableAutoscale,
    EnableAutoscale,
    History,
    NodeView,
    PoolView,
    RemoveNodes,
    StopResize,
    Wanted,
    decide,
)

NOW = 1_800_000_000.0
WANTED = Wanted(formula="$TargetLowPriorityNodes = 1;\n", interval=300.0)
WELL = PoolView(
    allocation_state="steady", autoscale_enabled=True, formula=WANTED.formula, interval=300.0, evaluated_at=NOW - 60
)
BAD = NodeView(id="n1", state="starttaskfailed", since=NOW - BAD_NODE_AFTER)


def test_a_pool_that_is_well_is_left_alone() -> None:
    decision = decide(WELL, WANTED, History(), NOW)
    assert (decision.actions, decision.troubles) == ((), ())


def test_a_formula_that_differs_is_put_back() -> None:
    decision = decide(replace(WELL, formula="$TargetDedicatedNodes = 9;"), WANTED, History(), NOW)
    assert [type(action) for action in decision.actions] == [EnableAutoscale]


def test_line_ends_make_no_difference() -> None:
    assert decide(replace(WELL, formula="$TargetLowPriorityNodes = 1;\r\n"), WANTED, History(), NOW).actions == ()


def test_an_interval_that_differs_is_put_back() -> None:
    decision = decide(replace(WELL, interval=900.0), WANTED, History(), NOW)
    assert [type(action) for action in decision.actions] == [EnableAutoscale]


def test_autoscale_that_a_person_disabled_stays_so() -> None:
    decision = decide(replace(WELL, autoscale_enabled=False, formula="", nodes=(BAD,)), WANTED, History(), NOW)
    assert decision.actions == ()
    assert "autoscale-off" in [trouble.code for trouble in decision.troubles]


@pytest.mark.parametrize(
    ("code", "serious"), [("AutoScalingFormulaEvaluationError", True), ("InsufficientSampleData", False)]
)
def test_an_evaluation_error_is_told_and_missing_samples_are_no_alarm(code: str, serious: bool) -> None:
    decision = decide(replace(WELL, evaluation_error=(code, "Line 1, Col 1: no")), WANTED, History(), NOW)
    assert [(trouble.code, trouble.serious) for trouble in decision.troubles] == [("formula-error", serious)]
    assert decision.actions == ()


def test_a_node_that_failed_a_moment_ago_is_only_watched() -> None:
    young = replace(BAD, since=NOW - 60)
    assert decide(replace(WELL, nodes=(young,)), WANTED, History(), NOW).actions == ()


def test_a_healing_disables_removes_and_enables_and_is_over() -> None:
    view = replace(WELL, nodes=(BAD, NodeView(id="n2", state="idle", since=0.0)))
    first = decide(view, WANTED, History(), NOW)
    assert [type(action) for action in first.actions] == [DisableAutoscale]
    off = replace(view, autoscale_enabled=False, formula="")
    second = decide(off, WANTED, first.history, NOW + 60)
    assert second.actions == (RemoveNodes(node_ids=("n1",), why="healing: they do no work"),)
    resizing = replace(off, allocation_state="resizing")
    assert decide(resizing, WANTED, second.history, NOW + 120).actions == ()
    gone = replace(off, nodes=off.nodes[1:])
    third = decide(gone, WANTED, second.history, NOW + 180)
    assert [type(action) for action in third.actions] == [EnableAutoscale]
    healed = decide(replace(WELL, nodes=gone.nodes), WANTED, third.history, NOW + 240)
    assert healed.history.healing_since is None
    assert [trouble.code for trouble in healed.troubles] == ["healed"]


def test_every_step_may_be_repeated_after_a_crash() -> None:
    view = replace(WELL, nodes=(BAD,))
    first = decide(view, WANTED, History(), NOW)
    again = decide(view, WANTED, first.history, NOW + 60)
    assert [type(action) for action in again.actions] == [DisableAutoscale]
    assert len(again.history.healings) == 1


def test_a_resize_that_does_not_end_is_stopped_in_a_healing() -> None:
    history = History(healing_since=NOW - STEP_PATIENCE, healings=(NOW - STEP_PATIENCE,))
    view = replace(WELL, autoscale_enabled=False, formula="", allocation_state="resizing")
    assert [type(action) for action in decide(view, WANTED, history, NOW).actions] == [StopResize]


def test_healings_are_bounded_and_then_a_person_is_called() -> None:
    history = History(healings=tuple(NOW - 60.0 * n for n in range(MAX_HEALINGS)))
    view = replace(WELL, nodes=(BAD,))
    stuck = decide(view, WANTED, history, NOW)
    assert stuck.actions == ()
    assert [trouble.code for trouble in stuck.troubles if trouble.serious] == ["bad-nodes", "stuck"]
    later = NOW + HEALING_WINDOW
    assert len(decide(view, WANTED, history, later).actions) == 1


SHORT = replace(
    WELL,
    resize_errors=(("AllocationFailed", "no capacity"),),
    target_nodes=5,
    current_nodes=1,
    pending_tasks=9,
)


def test_an_allocation_error_is_given_time_and_then_healed() -> None:
    first = decide(SHORT, WANTED, History(), NOW)
    assert first.actions == ()
    soon = decide(replace(SHORT, evaluated_at=NOW + 600), WANTED, first.history, NOW + 600)
    assert soon.actions == ()
    late = decide(replace(SHORT, evaluated_at=NOW + SHORT_AFTER), WANTED, soon.history, NOW + SHORT_AFTER)
    assert [type(action) for action in late.actions] == [DisableAutoscale]


def test_a_quota_is_told_and_never_healed() -> None:
    view = replace(SHORT, resize_errors=(("AccountLowPriorityCoreQuotaReached", "quota"),))
    decision = decide(view, WANTED, History(short_since=NOW - SHORT_AFTER), NOW)
    assert decision.actions == ()
    assert [(trouble.code, trouble.serious) for trouble in decision.troubles] == [("resize-error", True)]


def test_an_allocation_that_gets_on_is_forgotten() -> None:
    view = replace(SHORT, current_nodes=5)
    assert decide(view, WANTED, History(short_since=NOW - SHORT_AFTER), NOW).history.short_since is None


def test_autoscale_that_is_not_evaluated_any_more_is_healed() -> None:
    view = replace(WELL, evaluated_at=NOW - 3 * 300 - 1800)
    assert [type(action) for action in decide(view, WANTED, History(), NOW).actions] == [DisableAutoscale]


def test_preempted_nodes_count_as_bad_only_while_tasks_wait() -> None:
    old = NodeView(id="n1", state="preempted", since=NOW - 7200)
    assert decide(replace(WELL, nodes=(old,)), WANTED, History(), NOW).actions == ()
    assert decide(replace(WELL, nodes=(old,), pending_tasks=3), WANTED, History(), NOW).actions != ()


def test_a_formula_is_not_put_back_in_the_middle_of_a_healing() -> None:
    history = History(healing_since=NOW - 60, healings=(NOW - 60,))
    view = replace(WELL, formula="$TargetDedicatedNodes = 9;")
    assert [type(action) for action in decide(view, WANTED, history, NOW).actions] == [DisableAutoscale]


def test_a_history_survives_its_document() -> None:
    history = History(healings=(1.0, 2.0), healing_since=2.0, short_since=None, enabled_at=3.5)
    assert History.from_json(history.as_json()) == history
    assert History.from_json({}) == History()
