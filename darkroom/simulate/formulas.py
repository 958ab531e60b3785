"""The formulas that are compared: Darkroom's own, every published one that we know, or a file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from darkroom.simulate.run import START, WARM_UP
from pipeline.scaling import build_formula
from shared.app_settings import PoolSettings

OURS = "darkroom"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFormula:
    """A formula, where it comes from, and its text as it is run."""

    name: str
    source: str
    text: str


def ours(settings: PoolSettings) -> NamedFormula:
    """The pipeline's formula for these settings."""
    return NamedFormula(name=OURS, source="pipeline/scaling.py", text=build_formula(settings))


def published() -> list[NamedFormula]:
    """Every published formula that evaluates, made to run on Spot nodes by `adapt`."""
    text = files("darkroom.simulate").joinpath("published.jsonl").read_text("utf-8")
    entries = [json.loads(line) for line in text.splitlines()]
    return [NamedFormula(name=e["name"], source=e["source"], text=adapt(e["formula"])) for e in entries]


_DEDICATED = re.compile(r"\$(Target|Current)Dedicated(?:Nodes)?\b")
_CREATED = re.compile(r'time\("[^"]+"\)')


def adapt(formula: str) -> str:
    """The one way in which published formulas are adapted.

    A formula that sets a target for dedicated nodes only has its dedicated variables renamed to their Spot
    counterparts; one that sets both is left as it is. A time that is written in the text (the pool's creation) becomes
    the creation of the simulated pool. Numbers, and with them caps and slots, stay as published.
    """
    created = datetime.fromtimestamp(START - WARM_UP, UTC)
    formula = _CREATED.sub(f'time("{created:%Y-%m-%dT%H:%M:%SZ}")', formula)
    if "$TargetLowPriority" in formula:
        return formula
    return _DEDICATED.sub(r"$\1LowPriorityNodes", formula)
