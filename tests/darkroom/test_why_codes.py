"""No finding without its proof: each code is told of by a real `darkroom why` in a test that provokes its fault.

A test marked `provokes(code)` fails when `darkroom why`, run over real services, has not told of that code in it
(`seen` in conftest.py). So a mark cannot stand for a fault that nobody provoked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from darkroom.why.finding import Code
from tests.darkroom.places import ROOT

HERE = Path(__file__).parent


def provoking() -> Iterator[tuple[str, list[pytest.Mark]]]:
    """The tests that are marked, each with all its marks."""
    for path in sorted(HERE.glob("test_*.py")):
        module = import_module(f"tests.darkroom.{path.stem}")
        everywhere = getattr(module, "pytestmark", [])
        shared = [one.mark for one in (everywhere if isinstance(everywhere, list) else [everywhere])]
        for name, test in vars(module).items():
            own: list[pytest.Mark] = getattr(test, "pytestmark", []) if name.startswith("test_") else []
            if any(mark.name == "provokes" for mark in own):
                yield f"{path.stem}::{name}", [*shared, *own]


def test_every_code_is_provoked() -> None:
    proved = {code for _, marks in provoking() for mark in marks if mark.name == "provokes" for code in mark.args}
    assert proved == set(Code)


def test_no_provoking_test_is_left_out_of_a_run() -> None:
    """None is skipped, expected to fail, or needs more than Azurite, which every run of the tests has."""
    allowed = {"provokes", "azurite", "timeout", "parametrize"}
    assert {name: mark.name for name, marks in provoking() for mark in marks if mark.name not in allowed} == {}


def test_every_code_is_in_the_documentation_and_no_other() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    table = text[text.index("| code | what it means |") :]
    table = table[: table.index("\n\n")]
    named = [code for row in table.splitlines()[2:] for code in re.findall(r"`([a-z-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(Code)
