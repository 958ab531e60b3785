"""Lint finds the planted fault, and only it; and is silent on formulas that are as they should be."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.formula import lint
from pipeline.scaling import build_formula
from shared.app_settings import PoolSettings

GOOD = """
cap = 20;
slots = 4;
span = TimeInterval_Minute * 5;
known = $PendingTasks.GetSamplePercent(span) >= 70;
tasks = known ? max($PendingTasks.GetSample(1), avg($PendingTasks.GetSample(span))) : 0;
nodes = (tasks + slots - 1) / slots;
$TargetLowPriorityNodes = min(cap, nodes);
$NodeDeallocationOption = taskcompletion;
"""

OTHER_GOOD = [
    "$TargetDedicatedNodes = time().weekday == 1 ? 5 : 1; $NodeDeallocationOption = taskcompletion;",
    (
        "$NodeDeallocationOption = requeue;\n"
        "$TargetLowPriorityNodes = min(8, ceil(max($PendingTasks.GetSample(TimeInterval_Minute * 3, 50)) / 4));"
    ),
    (
        "tasks = $RunningTasks.GetSamplePercent(TimeInterval_Hour) > 70\n"
        "  ? max($RunningTasks.GetSample(TimeInterval_Hour)) + max($ActiveTasks.GetSample(TimeInterval_Hour)) : 4;\n"
        "$TargetDedicatedNodes = max(0, min(round(tasks / $TaskSlotsPerNode + 0.5), 10));\n"
        "$NodeDeallocationOption = taskcompletion;"
    ),
    (
        "usable = $CurrentLowPriorityNodes - max(0, $PreemptedNodeCount.GetSample(1));\n"
        "ok = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 5) > 70;\n"
        "t = ok ? max($PendingTasks.GetSample(TimeInterval_Minute * 5)) : usable * 4;\n"
        "$TargetLowPriorityNodes = min(9, (t + 3) / 4); $NodeDeallocationOption = taskcompletion;"
    ),
]

PLANTED = [
    ("metric-as-number", 5, "tasks = known ? min(1000, $PendingTasks) : 0;"),
    ("counts-samples", 5, "tasks = known ? $PendingTasks.GetSample(span).Count() : 0;"),
    ("counts-samples", 5, "tasks = known ? $PendingTasks.Count() : 0;"),
    ("no-sample-guard", 5, "tasks = max($PendingTasks.GetSample(span));"),
    ("only-active-tasks", 4, "known = $ActiveTasks.GetSamplePercent(span) >= 70;"),
    ("no-cap", 7, "$TargetLowPriorityNodes = nodes;"),
    ("slots-ignored", 7, "nodes = tasks;"),
    ("slots-ignored", 7, "nodes = (tasks + 1) / 2;"),
    ("fraction", 7, "nodes = tasks / slots;"),
    ("fraction", 7, "nodes = known ? avg($PendingTasks.GetSample(span)) * 0.25 : 0;"),
    ("no-deallocation-option", 8, "option = taskcompletion;"),
    ("preempted-counted", 6, "nodes = (tasks + slots - 1) / slots - $CurrentLowPriorityNodes;"),
    ("no-target", 8, "wanted = min(cap, nodes);"),
    ("unknown-variable", 6, "nodes = (task + slots - 1) / slots;"),
    ("refused", 6, "nodes = (tasks + slots - 1 / slots;"),
]


def plant(code: str, line: str) -> str:
    """The good formula with one statement replaced by `line`."""
    name = line.split(" ", maxsplit=1)[0]
    place = {"option": "$NodeDeallocationOption", "wanted": "$TargetLowPriorityNodes"}.get(name, name)
    planted = [line if old.startswith(f"{place} =") else old for old in GOOD.strip().splitlines()]
    text = "\n".join(planted)
    return text.replace("$PendingTasks", "$ActiveTasks") if code == "only-active-tasks" else text


@pytest.mark.parametrize(("code", "line", "statement"), PLANTED)
def test_the_planted_fault_is_found_alone_with_its_line_why_and_fix(code: str, line: int, statement: str) -> None:
    findings = lint(plant(code, statement), slots=4)
    assert [(finding.code, finding.line) for finding in findings] == [(code, line)]
    assert findings[0].why
    assert findings[0].fix


def test_a_single_sample_alone_is_found() -> None:
    text = "$TargetLowPriorityNodes = min(9, max(0, $PendingTasks.GetSample(1)));\n$NodeDeallocationOption = requeue;"
    assert [(finding.code, finding.line) for finding in lint(text)] == [("single-sample", 1)]


def test_a_formula_over_8_kb_is_found() -> None:
    assert [finding.code for finding in lint(GOOD + "// " + "x" * 8192)] == ["too-long"]


def test_more_than_100_statements_are_found() -> None:
    findings = lint("x = 1;\n" * 101 + GOOD)
    assert [(finding.code, finding.line) for finding in findings] == [("too-many-statements", 101)]


@pytest.mark.parametrize("text", [GOOD, *OTHER_GOOD])
def test_a_good_formula_is_left_alone(text: str) -> None:
    assert lint(text, slots=4) == []


def test_slots_are_no_matter_where_a_node_runs_one_task() -> None:
    assert lint(GOOD.replace("slots = 4", "slots = 1"), slots=1) == []


@pytest.mark.parametrize("slots", [1, 2, 4, 16])
@pytest.mark.parametrize("burst", [0, 3])
@pytest.mark.parametrize("spill_over", [False, True])
@pytest.mark.parametrize("patience", [0, 15])
def test_the_formula_of_the_pipeline_is_left_alone(slots: int, burst: int, spill_over: bool, patience: int) -> None:
    settings = PoolSettings(slots_per_node=slots, burst_nodes=burst, spill_over=spill_over)
    settings = replace(settings, scale_down_patience=patience, dedicated_nodes=patience // 10)
    assert lint(build_formula(settings), slots=slots) == []


_FILE = Path(__file__).parents[1] / "data" / "autoscale_formulas.jsonl"
PUBLISHED = {entry["source"]: entry["formula"] for entry in map(json.loads, _FILE.read_text("utf-8").splitlines())}


@pytest.mark.parametrize(
    ("needle", "codes"),
    [
        ("#pending-tasks", {"fraction", "slots-ignored"}),
        ("#preempted-nodes", {"no-sample-guard"}),
        ("#example-2", {"slots-ignored"}),
        ("ga4gh", {"no-cap", "slots-ignored"}),
        ("manage-pool-windows", {"only-active-tasks", "no-sample-guard", "fraction", "no-deallocation-option"}),
        ("formula_tasks('pending_tasks'", {"preempted-counted", "fraction"}),
        ("JS batch tests", {"no-target", "unknown-variable"}),
    ],
)
def test_published_formulas_show_their_known_faults(needle: str, codes: set[str]) -> None:
    (text,) = [formula for source, formula in PUBLISHED.items() if needle in source]
    assert codes <= {finding.code for finding in lint(text, slots=4)}


@given(st.text(alphabet="$xyPendigTasks.GtSmplC()=;+-*/<>?:!&| \n0123456789\"'"))
def test_any_text_can_be_linted(text: str) -> None:
    assert all(finding.line >= 1 for finding in lint(text, slots=2))
