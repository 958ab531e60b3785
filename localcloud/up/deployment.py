"""infra/local.json: what is deployed on this machine, the counterpart of the templates that deploy to Azure.

Texts in it may hold `{names}` of what `up` started; docs/localcloud.md lists them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.errors import StartError
from localcloud.eventgrid.subscription import EventSubscription, parse_subscription

_KEYS = (
    *("speed", "containers", "event_subscriptions", "topics", "batch"),
    *("settings", "node_env", "links", "welcome"),
)
SLOWEST, FASTEST = 0.01, 10_000.0
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`settings`, `node_env`, `links` and `welcome` are templates; `batch` says whether Batch is wanted.

    `speed` is how many times faster than on Azure the clocks run that Azure counts in minutes.
    """

    speed: float = 1.0
    containers: tuple[str, ...] = ()
    subscriptions: tuple[EventSubscription, ...] = ()
    topics: tuple[str, ...] = ()
    batch: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    node_env: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    welcome: tuple[str, ...] = ()


def read_deployment(path: Path) -> Deployment:
    """Read `path`. Raises StartError that names the file and the key that is wrong."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise StartError(f"{path} must hold an object")
    if unknown := sorted(set(document) - set(_KEYS)):
        raise StartError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    containers = _texts(document, "containers", path)
    for name in containers:
        if not _CONTAINER.fullmatch(name):
            raise StartError(f"{path}: containers: {name!r} is no container name (3-63 of a-z, 0-9, -)")
    topics = _texts(document, "topics", path)
    batch = document.get("batch", True)
    if not isinstance(batch, bool):
        raise StartError(f"{path}: batch must be true or false")
    speed = document.get("speed", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not SLOWEST <= speed <= FASTEST:
        raise StartError(f"{path}: speed must be a number from {SLOWEST:g} to {FASTEST:g}")
    return Deployment(
        speed=float(speed),
        containers=containers,
        subscriptions=_subscriptions(document, topics, path),
        topics=topics,
        batch=batch,
        settings=_mapping(document, "settings", path),
        node_env=_mapping(document, "node_env", path),
        links=_mapping(document, "links", path),
        welcome=_texts(document, "welcome", path),
    )


def _texts(document: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise StartError(f"{path}: {key} must be a list of strings")
    return tuple(value)


def _mapping(document: Mapping[str, Any], key: str, path: Path) -> dict[str, str]:
    value = document.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise StartError(f"{path}: {key} must be an object whose values are strings")
    return dict(value)


def _subscriptions(document: Mapping[str, Any], topics: tuple[str, ...], path: Path) -> tuple[EventSubscription, ...]:
    entries = document.get("event_subscriptions", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StartError(f"{path}: event_subscriptions must be a list of objects")
    found = tuple(
        parse_subscription(entry, where=f"{path}: event_subscriptions[{number}]")
        for number, entry in enumerate(entries)
    )
    names = [subscription.name.casefold() for subscription in found]
    if len(names) != len(set(names)):
        raise StartError(f"{path}: two event_subscriptions have one name")
    for subscription in found:
        if subscription.topic is not None and subscription.topic not in topics:
            raise StartError(f"{path}: {subscription.name}: there is no topic {subscription.topic!r}")
    return found


def fill(templates: Mapping[str, str], values: Mapping[str, str], *, where: str) -> dict[str, str]:
    """Each template with its `{names}` replaced. Raises StartError for a name that nobody knows."""
    return {key: fill_text(template, values, where=f"{where}.{key}") for key, template in templates.items()}


def fill_text(template: str, values: Mapping[str, str], *, where: str) -> str:
    """One template. Doubled braces stand for single ones, as in Python's str.format."""
    try:
        return template.format_map(values)
    except KeyError as error:
        known = ", ".join(sorted(values))
        raise StartError(f"{where}: nothing is called {{{error.args[0]}}}; known are {known}") from error
    except (ValueError, IndexError, AttributeError) as error:
        raise StartError(f"{where}: {template!r} is no template: {error}") from error
