"""Every published formula that we know evaluates, or fails as believed."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.batch.autoscale import FormulaError, compile_formula
from tests.localcloud.autoscale.state import CURRENT, NOW, store

_FILE = Path(__file__).parents[2] / "data" / "autoscale_formulas.jsonl"
FORMULAS: list[dict[str, Any]] = [json.loads(line) for line in _FILE.read_text("utf-8").splitlines()]


def _error(text: str) -> str | None:
    samples = store(ActiveTasks=7, RunningTasks=4, PendingTasks=11, PreemptedNodeCount=1, CPUPercent=0.5)
    try:
        evaluation = compile_formula(text).evaluate(now=NOW, samples=samples, current=CURRENT)
    except FormulaError as error:
        return str(error)
    return evaluation.error.detail if evaluation.error else None


@pytest.mark.parametrize("entry", FORMULAS, ids=[entry["source"][:60] for entry in FORMULAS])
def test_a_published_formula_does_as_believed(entry: dict[str, Any]) -> None:
    error = _error(entry["formula"])
    if entry.get("expect") == "error":
        assert error is not None
    else:
        assert error is None


def _targets(needle: str) -> tuple[int, int]:
    (text,) = [entry["formula"] for entry in FORMULAS if needle in entry["source"]]
    samples = store(ActiveTasks=7, RunningTasks=4, PendingTasks=11, PreemptedNodeCount=1)
    evaluation = compile_formula(text).evaluate(now=NOW, samples=samples, current=CURRENT)
    return evaluation.target_dedicated, evaluation.target_low_priority


@pytest.mark.parametrize(
    ("needle", "expected"),
    [
        ("#pending-tasks", (11, 3)),
        ("#preempted-nodes", (1, 24)),
        ("#net", (1, 3)),  # not a Monday
        ("#example-1", (10, 3)),  # a Saturday
        ("#example-2", (11, 3)),
        ("#example-4", (4, 3)),  # its own assignment is read back
        ("AccountingForParallelTasks", (2, 3)),  # 2 + ((7 - 8) + 3) / 4 = 2.5
        ("autoscaleQueueFormula", (2, 2)),  # (7 + 3) / 4 = 2.5
        ("('active_tasks', 'auto'", (1, 1)),
        ("('pending_tasks', 'low_priority'", (0, 5)),  # 11 / 2, cut
    ],
)
def test_known_formulas_give_the_nodes_that_their_arithmetic_says(needle: str, expected: tuple[int, int]) -> None:
    assert _targets(needle) == expected
