"""`darkroom formula` from the outside."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from darkroom.formula.command import app

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without a local cloud: nothing here depends on one that runs in the checkout."""
    monkeypatch.chdir(tmp_path)


def test_show_prints_the_formula_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL_MAX_NODES", "37")
    result = RUNNER.invoke(app, ["show"])
    assert result.exit_code == 0
    assert "cap = 37;" in result.output


def test_the_settings_are_those_of_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `status` and dispatch have them; the environment is not mixed in."""
    monkeypatch.setenv("POOL_MAX_NODES", "37")
    (tmp_path / "darkroom.toml").write_text("[profiles.prod]\nPOOL_MAX_NODES = 12\n")
    result = RUNNER.invoke(app, ["show", "--profile", "prod", "--json"])
    assert "cap = 12;" in json.loads(result.output)["formula"]


def test_lint_names_the_place_and_ends_with_one(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("$TargetDedicatedNodes = min(10, $PendingTasks);")
    result = RUNNER.invoke(app, ["lint", str(tmp_path / "bad.txt")])
    assert result.exit_code == 1
    assert ":1:33: metric-as-number" in result.output
    assert "Fix: " in result.output


def test_lint_of_our_own_formula_finds_nothing() -> None:
    result = RUNNER.invoke(app, ["lint"])
    assert (result.exit_code, result.output) == (0, "Nothing found.\n")


def test_lint_reads_standard_input_and_writes_json() -> None:
    result = RUNNER.invoke(app, ["lint", "-", "--json"], input="x = ;")
    assert [finding["code"] for finding in json.loads(result.output)] == ["refused"]


def test_eval_shows_the_results_under_given_metrics() -> None:
    formula = "$TargetLowPriorityNodes = avg($PendingTasks.GetSample(TimeInterval_Minute * 5));"
    result = RUNNER.invoke(app, ["eval", "-", "--set", "PendingTasks=12"], input=formula)
    assert result.exit_code == 0
    assert "$TargetLowPriorityNodes=12\n" in result.output


def test_eval_tells_the_error_and_its_place() -> None:
    result = RUNNER.invoke(app, ["eval", "-", "--minutes", "0"], input="x = $CPUPercent.GetSample(TimeInterval_Hour);")
    assert result.exit_code == 1
    assert "InsufficientSampleData: Line 1, Col 26" in result.output
