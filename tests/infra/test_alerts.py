"""The alerts read what the code writes: every line and every field that a query names is logged."""

from __future__ import annotations

import ast
import json
import re

import pytest

from tests.infra.bicep.evaluate import Deployment
from tests.infra.conftest import INFRA, ROOT

ALERTS = json.loads((INFRA / "alerts.json").read_text(encoding="utf-8"))
LOGS = {rule["name"]: rule for rule in ALERTS["logs"]}


def logged() -> dict[str, set[str]]:
    """Event to the fields of its line, from the format strings in the function app's code."""
    fields: dict[str, set[str]] = {}
    for path in [ROOT / "function_app.py", *sorted((ROOT / "pipeline").rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("event="):
                event, *rest = node.value.split(" ")
                fields.setdefault(event, set()).update(word.split("=")[0] for word in rest if "=" in word)
    return fields


@pytest.mark.parametrize("name", sorted(LOGS))
def test_a_query_reads_lines_and_fields_that_are_logged(name: str) -> None:
    """Each event that the query starts from is logged somewhere, with each field that it extracts."""
    query = LOGS[name]["query"]
    events = re.findall(r"startswith '(event=\w+) '", query)
    extracted = re.findall(r"\\b(\w+)=\(", query)
    assert events
    lines = logged()
    assert set(events) <= lines.keys()
    assert set(extracted) <= set().union(*(lines[event] for event in events))


@pytest.mark.parametrize("name", sorted(LOGS))
def test_a_querys_parts_are_closed(name: str) -> None:
    """Quotes and brackets of a query come in pairs."""
    bare = re.sub(r"'[^']*'", "", LOGS[name]["query"])
    assert "'" not in bare
    assert bare.count("(") == bare.count(")")


def test_the_lines_are_not_sampled_away() -> None:
    """Application Insights keeps every trace: an alert must not depend on luck."""
    logging = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["logging"]
    sampling = logging["applicationInsights"]["samplingSettings"]
    assert not sampling["isEnabled"] or "Trace" in sampling["excludedTypes"].split(";")
    assert logging["logLevel"]["Function"] in ("Information", "Debug", "Trace")


def test_every_alert_of_the_table_is_deployed(deployment: Deployment) -> None:
    """With the people who are to know, where an address is given."""
    rules = deployment.of("Microsoft.Insights/scheduledQueryRules")
    metrics = deployment.of("Microsoft.Insights/metricAlerts")
    assert (len(rules), len(metrics)) == (len(ALERTS["logs"]), len(ALERTS["metrics"]))
    (people,) = deployment.of("Microsoft.Insights/actionGroups")
    assert all(rule.body["properties"]["actions"]["actionGroups"] == [people.id] for rule in rules)
    assert all(rule.body["properties"]["actions"] == [{"actionGroupId": people.id}] for rule in metrics)


def test_every_alert_has_a_first_step_in_the_documentation() -> None:
    """Whoever is woken finds the alert's name in docs/azure.md."""
    text = (ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
    named = [rule["name"] for rule in (*ALERTS["logs"], *ALERTS["metrics"])]
    assert [name for name in named if f"`{name}`" not in text] == []
