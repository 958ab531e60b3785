"""Outcomes become reports; cleaning removes what it says, and nothing else. Against a real Azurite."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from darkroom.failure import ExitCode
from shared import outcome, quarantine
from shared.outcome import Outcome, Result
from shared.quarantine import Quarantined
from tests.darkroom.places import Cli, Place

pytestmark = pytest.mark.azurite

HOSTILE = "<img src=x onerror=alert(1)>.jpg"


def converted(name: str) -> Outcome:
    return Outcome(
        name=name,
        etag="e1",
        result=Result.CONVERTED,
        at="2026-11-21T10:00:00Z",
        png=name.replace(".jpg", ".png"),
        bytes_in=100,
        bytes_out=120,
        pixels=4,
        milliseconds=80,
    )


def rejected(name: str) -> Outcome:
    return Outcome(
        name=name, etag="e1", result=Result.REJECTED, at="2026-11-21T10:00:01Z", reason="truncated", detail="cut"
    )


@pytest.fixture
def worked(place: Place) -> Place:
    """Two manifests' outcomes, one with a torn last line."""
    place.put("outcomes", "m1/run-1.jsonl", outcome.to_line(converted("a.jpg")) + outcome.to_line(rejected(HOSTILE)))
    place.put("outcomes", "m2/run-1.jsonl", outcome.to_line(converted("=cmd.jpg")) + b'{"kind":"outco')
    return place


def document(name: str, reason: str) -> Quarantined:
    return Quarantined(
        name=name,
        etag="e1",
        size=3,
        reason=reason,
        detail="cut",
        when="2026-11-21T10:00:00Z",
        attempts=1,
        manifest="m1",
    )


def test_a_report_counts_every_outcome(cli: Cli, worked: Place) -> None:
    told = json.loads(cli("report", "--json", environ=worked.environ).out)
    assert told["images"] == 3
    assert told["by_result"]["converted"] == 2
    assert told["by_reason"] == {"truncated": 1}
    assert told["torn_lines"] == 1
    assert told["milliseconds_p95_at_most"] == 100


def test_a_report_writes_every_row_as_csv_and_json(cli: Cli, worked: Place, tmp_path: Path) -> None:
    cli("report", "--csv", tmp_path / "r.csv", "--rows", tmp_path / "r.json", environ=worked.environ)
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} == {"a.jpg", HOSTILE, "'=cmd.jpg"}
    assert {row["manifest"] for row in rows} == {"m1", "m2"}
    assert {row["name"] for row in json.loads((tmp_path / "r.json").read_text("utf-8"))} == {
        "a.jpg",
        HOSTILE,
        "=cmd.jpg",
    }


def test_names_are_inert_in_the_html_summary(cli: Cli, worked: Place, tmp_path: Path) -> None:
    cli("report", "--html", tmp_path / "r.html", environ=worked.environ)
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page
    assert "<img" not in page


def test_a_report_of_nothing_says_so(cli: Cli, place: Place, tmp_path: Path) -> None:
    ran = cli("report", "--rows", tmp_path / "r.json", environ=place.environ)
    assert ran.code == ExitCode.OK
    assert json.loads((tmp_path / "r.json").read_text("utf-8")) == []


def test_since_leaves_older_outcomes_out_and_refuses_nonsense(cli: Cli, worked: Place) -> None:
    assert json.loads(cli("report", "--since", "2100-01-01", "--json", environ=worked.environ).out)["images"] == 0
    assert cli("report", "--since", "yesterdayish", environ=worked.environ).code == ExitCode.USAGE


def test_clean_pngs_removes_the_prefix_and_nothing_else(cli: Cli, place: Place) -> None:
    for name in ("x/a.png", "x/b.png", "y/c.png"):
        place.put("converted", name)
    place.put("images", "x/a.jpg")
    told = json.loads(cli("clean", "pngs", "--prefix", "x/", "--yes", "--json", environ=place.environ).out)
    assert sum(told["removed"].values()) == 2
    assert place.names("converted") == ["y/c.png"]
    assert place.names("images") == ["x/a.jpg"]


def test_a_dry_run_of_clean_removes_nothing(cli: Cli, place: Place) -> None:
    place.put("converted", "a.png")
    told = json.loads(cli("clean", "pngs", "--dry-run", "--json", environ=place.environ).out)
    assert sum(told["would_remove"].values()) == 1
    assert place.names("converted") == ["a.png"]


def test_clean_asks_and_without_a_terminal_nothing_goes(cli: Cli, place: Place) -> None:
    place.put("converted", "a.png")
    ran = cli("clean", "pngs", environ=place.environ)
    assert ran.code == ExitCode.USAGE
    assert "--yes" in ran.err
    assert place.names("converted") == ["a.png"]


def test_clean_test_images_takes_made_images_and_their_pngs_only(cli: Cli, place: Place) -> None:
    for container, name in (("images", "test-images/1.jpg"), ("converted", "test-images/1.png"), ("images", "own.jpg")):
        place.put(container, name)
    cli("clean", "test-images", "--yes", environ=place.environ)
    assert place.names("images") == ["own.jpg"]
    assert place.names("converted") == []


def test_clean_takes_only_what_is_older(cli: Cli, place: Place) -> None:
    place.put("outcomes", "m1/r.jsonl")
    told = json.loads(cli("clean", "archives", "--older-than", "1d", "--yes", "--json", environ=place.environ).out)
    assert sum(told["removed"].values()) == 0
    assert place.names("outcomes") == ["m1/r.jsonl"]


def test_more_blobs_than_a_batch_request_takes_are_all_removed(cli: Cli, place: Place) -> None:
    for number in range(300):
        place.put("converted", f"{number}.png")
    cli("clean", "pngs", "--yes", environ=place.environ)
    assert place.names("converted") == []


def test_quarantine_list_shows_names_as_text_and_counts_reasons(cli: Cli, place: Place) -> None:
    for name, reason in ((HOSTILE, "truncated"), ("b.jpg", "truncated"), ("[red]c\u202egpj.jpg", "not-a-jpeg")):
        place.put("quarantine", name, quarantine.to_bytes(document(name, reason)), reason=reason, source_etag="e1")
    ran = cli("quarantine", "list", environ=place.environ)
    assert HOSTILE in ran.out
    assert "[red]c\\u202egpj.jpg" in ran.out
    assert "2 truncated" in ran.out
    told = json.loads(cli("quarantine", "list", "--reason", "truncated", "--json", environ=place.environ).out)
    assert told["count"] == 2


def test_quarantine_show_tells_why(cli: Cli, place: Place) -> None:
    place.put("quarantine", "b.jpg", quarantine.to_bytes(document("b.jpg", "truncated")))
    assert json.loads(cli("quarantine", "show", "b.jpg", "--json", environ=place.environ).out)["detail"] == "cut"
    assert cli("quarantine", "show", "no.jpg", environ=place.environ).code == ExitCode.NOT_FOUND


def test_quarantine_drop_needs_to_be_told_which(cli: Cli, place: Place) -> None:
    for name in ("a.jpg", "b.jpg"):
        place.put("quarantine", name, quarantine.to_bytes(document(name, "truncated")), reason="truncated")
    assert cli("quarantine", "drop", "--yes", environ=place.environ).code == ExitCode.USAGE
    assert cli("quarantine", "drop", "a.jpg", "--yes", environ=place.environ).code == ExitCode.OK
    assert place.names("quarantine") == ["b.jpg"]


def test_two_answers_that_both_want_standard_output_are_a_usage_error(cli: Cli, place: Place) -> None:
    assert cli("report", "--csv", "-", "--json", environ=place.environ).code == ExitCode.USAGE


def test_without_a_price_there_is_no_money_and_without_a_journal_no_hour(cli: Cli, place: Place) -> None:
    environ = place.environ | {"BATCH_ACCOUNT": "none", "BATCH_KEY": "a2V5"}
    ran = cli("cost", "--json", environ=environ)
    assert ran.code == ExitCode.OK, ran.err
    assert (json.loads(ran.out)["money"], json.loads(ran.out)["node_hours"]) == (None, 0)
    assert json.loads(cli("cost", "--json", "--price", "1", environ=environ).out)["money"] == 0


def test_a_quarantine_document_is_shown_without_an_empty_heading(cli: Cli, place: Place) -> None:
    document = Quarantined(
        name="a.jpg", etag="e", size=1, reason="truncated", detail="", when="t", attempts=1, manifest="m"
    )
    place.put("quarantine", "a.jpg", quarantine.to_bytes(document), reason="truncated", source_etag="e")
    assert cli("quarantine", "show", "a.jpg", environ=place.environ).out.startswith("image ")
