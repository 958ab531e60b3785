"""What the Bicep templates load: every setting of the function app, and the pool's formula, from the code itself.

A team writes its choices into `infra/settings.json`; `render` checks them as the application will at its start, and
writes `infra/generated/`. A wrong setting so stops the deployment before it begins, not the application after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.scaling import build_formula
from shared import app_settings, settings, worker_settings
from shared.app_settings import read_app_settings
from shared.errors import SettingsError

LOCAL_ONLY = frozenset(
    {"STORAGE_CONNECTION_STRING", "BATCH_ACCOUNT", "BATCH_KEY", "BATCH_POOL_CREATE", "EVENTGRID_TOPIC_KEY"}
)
"""Settings for services on one machine: keys, and what the deployment does in the application's place."""

WIRED = frozenset(
    {
        "STORAGE_ACCOUNT_URL",
        "BATCH_ENDPOINT",
        "WORKER_COMMAND",
        "WORKER_PACKAGE",
        "WORKER_IMAGE",
        "WORKER_IDENTITY_CLIENT_ID",
        "WORKER_IDENTITY_RESOURCE_ID",
        "EVENTGRID_TOPIC_ENDPOINT",
    }
)
"""Settings that `main.bicep` takes from the resources it makes."""

_ELSEWHERE = {"STORAGE_ACCOUNT_URL": "https://checked.blob.core.windows.net", "BATCH_ENDPOINT": "https://checked"}

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:=(?P<default>[^}]*))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The content of `infra/generated/`."""

    settings: str
    formula: str


def known_settings() -> list[str]:
    """The names of every setting that the function app and the worker declare."""
    groups = (*app_settings.GROUPS, *worker_settings.GROUPS)
    return [name for group in groups for name in settings.names(group)]


def render(choices: Mapping[str, str]) -> Rendered:
    """Settings and formula for these choices (setting name to value).

    Raises SettingsError for a name that nobody reads, one that is not the team's to set, a value that is not allowed.
    """
    unknown = choices.keys() - set(known_settings())
    if unknown:
        raise SettingsError(f"infra/settings.json: no such settings: {', '.join(sorted(unknown))}")
    taken = choices.keys() & (LOCAL_ONLY | WIRED)
    if taken:
        raise SettingsError(f"infra/settings.json: these are not set there on Azure: {', '.join(sorted(taken))}")
    checked = read_app_settings({**choices, **_ELSEWHERE})
    for group in worker_settings.GROUPS:
        settings.read(group, choices)
    return Rendered(
        settings=json.dumps(_complete(choices), indent=2) + "\n",
        formula=build_formula(checked.pool),
    )


def choices_of(infra: Path) -> dict[str, str]:
    """The team's choices, from `infra/settings.json`. Raises SettingsError when they are no object of texts."""
    path = infra / "settings.json"
    try:
        choices = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(choices, dict) or not all(isinstance(value, str) for value in choices.values()):
        raise SettingsError(f'{path}: must be an object of texts, like {{"POOL_MAX_NODES": "50"}}')
    return choices


def parameters_of(infra: Path, values: Mapping[str, str]) -> list[str]:
    """`NAME=VALUE` for each parameter of `main.bicep`, as azd makes them from its environment's values."""
    given = json.loads((infra / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]

    def filled(match: re.Match[str]) -> str:
        return values.get(match["name"], "") or match["default"] or ""

    return [f"{name}={_VARIABLE.sub(filled, item['value'])}" for name, item in given.items()]


def write(rendered: Rendered, infra: Path) -> list[Path]:
    """Write what differs into `infra/generated/`, and say which files those were."""
    generated = infra / "generated"
    generated.mkdir(exist_ok=True)
    changed = []
    for path, text in ((generated / "settings.json", rendered.settings), (generated / "formula.txt", rendered.formula)):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _complete(choices: Mapping[str, str]) -> dict[str, str]:
    """Every setting of the application with its chosen or default value, in the order of their declaration."""
    complete = {}
    for group in (*app_settings.GROUPS, *worker_settings.GROUPS):
        for row in settings.describe(group, choices):
            if row.name not in LOCAL_ONLY | WIRED:
                complete[row.name] = row.value
    return complete
