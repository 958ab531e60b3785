"""The reader of templates refuses what Bicep's compiler would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep.evaluate import evaluate
from tests.infra.bicep.syntax import BicepError


def read(tmp_path: Path, text: str, parameters: dict[str, Any] | None = None, module: str = "") -> dict[str, Any]:
    """The outputs of a template with this text, beside which `module.bicep` has that text."""
    (tmp_path / "main.bicep").write_text(text, encoding="utf-8")
    (tmp_path / "module.bicep").write_text(module, encoding="utf-8")
    return evaluate(tmp_path / "main.bicep", parameters or {}).outputs


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a${1 + 1}b${'c'}'", "a2bc"),
        ("1 == 1 ? 'yes' : 'no'", "yes"),
        ("empty('') && !empty('x') ? [1, 2] : []", [1, 2]),
        ("union({ a: 1, b: 1 }, { b: 2 }).b", 2),
        ("{ 'with-dash': 'x' }['with-dash']", "x"),
        ("concat([1], [2])", [1, 2]),
        ("'it\\'s'", "it's"),
    ],
)
def test_it_works_out_an_expression(tmp_path: Path, expression: str, value: Any) -> None:
    """Strings, conditions, objects and functions mean what Bicep means by them."""
    assert read(tmp_path, f"output x object = {expression}\n") == {"x": value}


def test_it_works_out_loops(tmp_path: Path) -> None:
    """A loop gives one value for each item, and knows its number."""
    text = "var all = [for (item, i) in ['a', 'b']: {\n  name: '${item}${i}'\n}]\noutput x array = all\n"
    assert read(tmp_path, text) == {"x": [{"name": "a0"}, {"name": "b1"}]}


@pytest.mark.parametrize(
    ("text", "module", "complaint"),
    [
        ("output x string = missing\n", "", "nothing is named missing"),
        ("param p string\nvar unused = p\n", "", "p is not given"),
        ("var unused = 1\n", "", "never used: unused"),
        (
            "module m 'module.bicep' = {\n  name: 'm'\n  params: {\n    typo: 1\n  }\n}\n",
            "",
            "no such parameters: typo",
        ),
        ("module m 'module.bicep' = {\n  name: 'm'\n}\n", "param p int\noutput o int = p\n", "p is not given"),
        (
            "module m 'module.bicep' = {\n  name: 'm'\n  params: {\n    p: 'x'\n  }\n}\n",
            "param p int\noutput o int = p\n",
            "must be int",
        ),
        ("module m 'module.bicep' = {\n  name: 'm'\n}\noutput x string = m.outputs.gone\n", "", "has no gone"),
        ("var a = b\nvar b = a\n", "", "depends on itself"),
        ("var a = 'open\n", "", "does not end"),
        ("var a = sneaky()\noutput x string = a\n", "", "function sneaky is not read"),
        ("param p string = 'c'\nparam p string = 'd'\n", "", "declared twice"),
        ("@allowed(['a'])\nparam p string = 'b'\noutput x string = p\n", "", "is not one of"),
    ],
)
def test_it_refuses_what_the_compiler_would(tmp_path: Path, text: str, module: str, complaint: str) -> None:
    """A template that cannot be deployed is an error that says why."""
    with pytest.raises(BicepError, match=complaint):
        read(tmp_path, text, module=module)
