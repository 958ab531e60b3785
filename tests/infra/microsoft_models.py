"""Compares resources with Microsoft's own models of them: unknown properties, and values outside of an enumeration.

Runs in `.venv-scan` (see `tests/infra/requirements.in`): reads resources as JSON from standard input, `[{type, body,
where}]`, and prints one line for each fault. The libraries' API versions are near those of the templates, not equal.
"""

from __future__ import annotations

import enum
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

MODELS = {
    "Microsoft.Authorization/roleAssignments": (
        "azure.mgmt.authorization.v2022_04_01",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.Authorization/roleDefinitions": ("azure.mgmt.authorization.v2022_04_01", "RoleDefinition"),
    "Microsoft.Batch/batchAccounts": ("azure.mgmt.batch", "BatchAccountCreateParameters"),
    "Microsoft.Batch/batchAccounts/pools": ("azure.mgmt.batch", "Pool"),
    "Microsoft.ContainerRegistry/registries": ("azure.mgmt.containerregistry", "Registry"),
    "Microsoft.EventGrid/systemTopics": ("azure.mgmt.eventgrid", "SystemTopic"),
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": ("azure.mgmt.eventgrid", "EventSubscription"),
    "Microsoft.EventGrid/topics": ("azure.mgmt.eventgrid", "Topic"),
    "Microsoft.Insights/actionGroups": ("azure.mgmt.monitor", "ActionGroupResource"),
    "Microsoft.Insights/components": ("azure.mgmt.applicationinsights.v2020_02_02", "ApplicationInsightsComponent"),
    "Microsoft.Insights/metricAlerts": ("azure.mgmt.monitor", "MetricAlertResource"),
    "Microsoft.Insights/scheduledQueryRules": ("azure.mgmt.monitor", "ScheduledQueryRuleResource"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("azure.mgmt.msi.v2024_11_30", "Identity"),
    "Microsoft.OperationalInsights/workspaces": ("azure.mgmt.loganalytics", "Workspace"),
    "Microsoft.Storage/storageAccounts": ("azure.mgmt.storage", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("azure.mgmt.storage", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("azure.mgmt.storage", "BlobContainer"),
    "Microsoft.Storage/storageAccounts/managementPolicies": ("azure.mgmt.storage", "ManagementPolicy"),
    "Microsoft.Web/serverfarms": ("azure.mgmt.web", "AppServicePlan"),
    "Microsoft.Web/sites": ("azure.mgmt.web", "Site"),
}
COMMON = {"kind", "location", "tags"}
"""Of every tracked resource, whether a library's model shows it or not."""


def faults(kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one resource."""
    module_name, class_name = MODELS[kind]
    models = importlib.import_module(f"{module_name}.models")
    rest = {key: value for key, value in body.items() if key not in COMMON}
    yield from _object(models, getattr(models, class_name), rest, kind)


def _object(models: Any, model: Any, body: Mapping[str, Any], path: str) -> Iterator[str]:
    model = _subtype(models, model, body)
    known = _properties(model)
    for name, value in body.items():
        if name not in known:
            if not (name == "odata.type" or isinstance(known.get("*"), str)):
                yield f"{path}.{name} is not known; known are {', '.join(sorted(known))}"
            continue
        kind = known[name]
        if isinstance(kind, dict):  # properties that the library flattens away
            yield from _flattened(models, kind, value, f"{path}.{name}")
        else:
            yield from _value(models, kind, value, f"{path}.{name}")


def _flattened(models: Any, known: Mapping[str, Any], body: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in body.items():
        if name not in known:
            yield f"{path}.{name} is not known; known are {', '.join(sorted(known))}"
        else:
            yield from _value(models, known[name], value, f"{path}.{name}")


def _value(models: Any, kind: str, value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _value(models, kind, item, f"{path}[{number}]")
        return
    mentioned = (getattr(models, word, None) for word in re.findall(r"\w+", kind))
    target = next((each for each in mentioned if isinstance(each, type)), None)
    if target is None:
        return
    if isinstance(target, enum.EnumMeta):
        members: list[Any] = list(target)
        allowed = [member.value for member in members]
        if not str(value).startswith(("<", "/")) and value not in allowed:
            yield f"{path}: {value!r} is not one of {allowed}"
    elif isinstance(value, dict):
        if "dict" in kind.lower() or kind.startswith("{"):
            for key, item in value.items():
                if isinstance(item, dict):
                    yield from _object(models, target, item, f"{path}[{key}]")
        else:
            yield from _object(models, target, value, path)
    else:
        yield f"{path}: an object is expected, not {value!r}"


def _properties(model: Any) -> dict[str, Any]:
    """Names as on the wire, with the types that the library gives them."""
    if hasattr(model, "_attribute_map"):
        found: dict[str, Any] = {}
        for attribute in model._attribute_map.values():
            outer, _, inner = attribute["key"].replace("\\.", "\0").partition(".")
            if inner:
                found.setdefault(outer, {})[inner.replace("\0", ".")] = attribute["type"]
            else:
                found[outer.replace("\0", ".")] = attribute["type"]
        return found
    found = {}
    for base in reversed(model.__mro__):
        for name, value in vars(base).items():
            wire = getattr(value, "_rest_name_input", None)
            if type(value).__name__ == "_RestField":
                found[wire or name] = str(base.__annotations__.get(name, ""))
    return found


def _subtype(models: Any, model: Any, body: Mapping[str, Any]) -> Any:
    """The model of this kind of thing, where a property tells the kind."""
    for discriminator, subtypes in getattr(model, "_subtype_map", {}).items():
        key = model._attribute_map[discriminator]["key"].replace("\\.", ".")
        name = subtypes.get(body.get(key))
        if name:
            return getattr(models, name)
    return model


if __name__ == "__main__":
    for resource in json.load(sys.stdin):
        if resource["type"] in MODELS:
            for fault in faults(resource["type"], resource["body"]):
                sys.stdout.write(f"{resource['where']}: {fault}\n")
