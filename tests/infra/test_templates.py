"""The templates as a whole, in every shape: they hang together, and Azure's own rules for names are kept."""

from __future__ import annotations

import json
import re
from collections import Counter

from tests.infra.bicep.evaluate import Deployment
from tests.infra.bicep.parser import parse
from tests.infra.conftest import INFRA

NAME_RULES = {
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Batch/batchAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.ContainerRegistry/registries": r"[a-zA-Z0-9]{5,50}",
    "Microsoft.Web/sites": r"[a-zA-Z0-9-]{2,60}",
    "Microsoft.EventGrid/systemTopics": r"[a-zA-Z0-9-]{3,50}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9_-]{3,128}",
}
PREVIEWS = {"Microsoft.Insights/diagnosticSettings": "has had no other version than a preview since 2016"}


def test_no_two_resources_have_one_name(deployment: Deployment) -> None:
    """Every resource is declared once."""
    counted = Counter((item.type, item.name, item.scope) for item in deployment.resources)
    assert [key for key, count in counted.items() if count > 1] == []


def test_names_keep_azures_rules(deployment: Deployment) -> None:
    """Names have the lengths and letters that Azure allows, whatever the environment is called."""
    wrong = [
        f"{item.type} {item.name}"
        for item in deployment.resources
        if item.type in NAME_RULES and not re.fullmatch(NAME_RULES[item.type], item.name)
    ]
    assert wrong == []


def test_versions_are_dated_and_no_previews(deployment: Deployment) -> None:
    """Every API version is a date; a preview only where nothing else exists."""
    wrong = [
        f"{item.where}: {item.type}@{item.version}"
        for item in deployment.resources
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", item.version) and item.type not in PREVIEWS
    ]
    assert wrong == []


def test_one_type_has_one_version(deployment: Deployment) -> None:
    """A resource type is used in one API version throughout."""
    versions: dict[str, set[str]] = {}
    for item in deployment.resources:
        versions.setdefault(item.type, set()).add(item.version)
    assert {kind: found for kind, found in versions.items() if len(found) > 1} == {}


def test_every_parameter_is_explained() -> None:
    """Whoever deploys can read what each parameter of main.bicep is for."""
    parameters = parse(INFRA / "main.bicep").parameters.values()
    assert [item.name for item in parameters if item.decorator("description") is None] == []


def test_the_parameters_file_fits_the_template() -> None:
    """main.parameters.json names parameters that exist, and gives every one that has no default."""
    given = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    declared = parse(INFRA / "main.bicep").parameters
    needed = {name for name, item in declared.items() if item.default is None}
    assert needed <= given.keys() <= declared.keys()


def test_what_azd_gives_as_text_is_taken_as_text() -> None:
    """azd puts texts and truth values into parameters, lists only since 2026: no parameter of main.bicep needs more."""
    given = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    declared = parse(INFRA / "main.bicep").parameters
    assert {declared[name].type for name in given} <= {"string", "bool"}


def test_everything_carries_the_environments_tag(deployment: Deployment) -> None:
    """`azd down` and people find what belongs together by its tag."""
    taggable = [item for item in deployment.resources if "location" in item.body]
    assert taggable
    assert [item.name for item in taggable if item.body.get("tags", {}).get("azd-env-name") != "demo"] == []


def test_hooks_name_steps_that_exist() -> None:
    """Each hook of azure.yaml calls a step that `python -m darkroom.deploy` has."""
    from darkroom.deploy.command import app

    called = set(re.findall(r"-m darkroom\.deploy (\w+)", (INFRA.parent / "azure.yaml").read_text(encoding="utf-8")))
    steps = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert called == {"prepare", "publish", "subscribe"}
    assert called <= steps


def test_the_templates_give_what_the_steps_ask_for(plain: Deployment) -> None:
    """Every value that the deployment's steps read from the azd environment is an output of main.bicep."""
    source = (INFRA.parent / "darkroom" / "deploy" / "steps.py").read_text(encoding="utf-8")
    asked = set(re.findall(r'_value\(values, "(\w+)"\)', source))
    assert asked
    assert asked <= plain.outputs.keys()
