"""`darkroom simulate` from the outside."""

import json
import re
from pathlib import Path

import pytest

from tests.darkroom.places import Cli, Place


def test_json_has_figures_and_ratios_for_each_formula(cli: Cli) -> None:
    ran = cli("simulate", "--trace", "lone", "--formula", "darkroom", "--formula", "docs-tasks", "--json")
    assert ran.code == 0
    (trace,) = json.loads(ran.out)["traces"]
    assert set(trace["formulas"]) == {"darkroom", "docs-tasks"}
    assert trace["formulas"]["darkroom"]["wait_ratio"] >= 1
    assert trace["formulas"]["darkroom"]["cost_ratio"] >= 1


def test_the_same_call_prints_the_same(cli: Cli) -> None:
    call = ("simulate", "--trace", "lone", "--seed", "4", "--json")
    assert cli(*call).out == cli(*call).out


def test_work_that_is_never_done_is_null_in_json_and_infinite_in_the_table(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("$TargetLowPriorityNodes = 0;")
    formula = str(tmp_path / "none.txt")
    (trace,) = json.loads(cli("simulate", "--trace", "lone", "--formula", formula, "--json").out)["traces"]
    assert trace["formulas"]["none"]["p95"] is None
    assert "∞" in cli("simulate", "--trace", "lone", "--formula", formula).out


def test_a_formula_that_does_not_compile_is_told_with_its_place(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("$TargetLowPriorityNodes = min(;")
    ran = cli("simulate", "--trace", "lone", "--formula", str(tmp_path / "bad.txt"))
    assert ran.code == 1
    assert "Line 1, Col 31" in ran.err


@pytest.mark.parametrize("wrong", [("--trace", "nowhere"), ("--formula", "nowhere.txt")])
def test_what_is_neither_a_name_nor_a_file_is_not_found(cli: Cli, wrong: tuple[str, str]) -> None:
    assert cli("simulate", *wrong).code == 6


def test_the_page_and_the_pictures_load_nothing_from_elsewhere(cli: Cli, tmp_path: Path) -> None:
    page, docs = tmp_path / "page.html", tmp_path / "docs"
    formulas = ("--formula", "darkroom", "--formula", "tes")
    assert cli("simulate", "--trace", "lone", *formulas, "--html", str(page), "--docs", str(docs)).code == 0
    names = sorted(path.name for path in docs.iterdir())
    assert names == ["lone-time.svg", "lone.svg", "results.md"]
    for path in (page, *docs.glob("*.svg")):
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//\w|url\(|@import|<script", text), path
        assert "prefers-color-scheme: dark" in text


def test_list_names_every_trace_and_formula(cli: Cli) -> None:
    out = cli("simulate", "--list").out
    assert {"lone", "backlog", "month", "darkroom", "shipyard-auto"} <= set(re.findall(r"^[\w-]+", out, re.MULTILINE))


@pytest.mark.azurite
def test_a_running_systems_arrivals_are_recorded_and_replayed(place: Place, cli: Cli, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpeg", "notes.txt", "deep/c.JPG"):
        place.put("images", name)
    recorded = tmp_path / "now.jsonl"
    ran = cli("simulate", "--record", str(recorded), "--days", "1", environ=place.environ)
    assert (ran.code, ran.out.split()[0]) == (0, "3")
    (trace,) = json.loads(cli("simulate", "--trace", str(recorded), "--json").out)["traces"]
    assert trace["formulas"]["darkroom"]["images"] == 3
    assert trace["formulas"]["darkroom"]["undone"] == 0
