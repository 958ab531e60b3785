"""docs/performance.md has a place for what `make bench` measures, and all parts of it are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.page import between, write_between
from benchmarks.worker import PAGE


def test_the_page_shows_what_a_whole_run_measures() -> None:
    first, last = between(PAGE, "worker")
    shown = PAGE.read_text(encoding="utf-8")[first:last]
    for part in ("Photographs", "800 x 600", "Text-like pages", "All cores", "Memory", "A manifest, end to end"):
        heading, table = shown.split(f"### {part}")[1].split("\n", 1)
        assert table.lstrip().startswith("|"), heading


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:x -->\nold \\1\n<!-- /bench:x -->\nafter\n")
    write_between(page, "x", "new \\1")
    assert page.read_text() == "before\n<!-- bench:x -->\nnew \\1\n<!-- /bench:x -->\nafter\n"
    page.write_text("<!-- bench:x -->\n")
    with pytest.raises(ValueError, match=r"page\.md: needs .*bench:x"):
        write_between(page, "x", "new")
