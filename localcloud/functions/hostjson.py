"""What of host.json matters to this host.

https://learn.microsoft.com/azure/azure-functions/functions-host-json
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from localcloud.errors import StartError

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """`route_prefix` has no slashes at its ends. `function_timeout` None is unlimited.

    `log_levels` maps a category's prefix (`default`, `Function`, `Function.ingest`, `Host`) to a level of Python.
    """

    route_prefix: str = "api"
    function_timeout: timedelta | None = timedelta(minutes=30)
    log_levels: Mapping[str, int] = field(default_factory=dict)

    def level(self, category: str) -> int:
        """The level of the longest configured prefix of `category`, else `default`'s, else Information."""
        parts = category.split(".")
        for length in range(len(parts), 0, -1):
            prefix = ".".join(parts[:length])
            if prefix in self.log_levels:
                return self.log_levels[prefix]
        return self.log_levels.get("default", logging.INFO)


def read_host_json(app_root: Path) -> HostConfig:
    """The app's host.json. Raises StartError that names what is wrong."""
    path = app_root / "host.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise StartError(f"{path} is missing: this folder is no function app") from error
    except (OSError, ValueError) as error:
        raise StartError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise StartError(f'{path} must say `"version": "2.0"`')
    prefix = _at(document, path, "extensions", "http", "routePrefix", default="api")
    if not isinstance(prefix, str):
        raise StartError(f"{path}: extensions.http.routePrefix must be a string")
    return HostConfig(
        route_prefix=prefix.strip("/"),
        function_timeout=_timeout(document.get("functionTimeout", "00:30:00"), path),
        log_levels=_levels(_at(document, path, "logging", "logLevel", default={}), path),
    )


def _at(document: Mapping[str, Any], path: Path, *keys: str, default: object) -> object:
    value: object = document
    for key in keys:
        if not isinstance(value, dict):
            raise StartError(f"{path}: {'.'.join(keys)} lies in something that is no object")
        if key not in value:
            return default
        value = value[key]
    return value


def _timeout(value: object, path: Path) -> timedelta | None:
    if value in ("-1", -1):
        return None
    found = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", value) if isinstance(value, str) else None
    if found is None:
        raise StartError(f'{path}: functionTimeout must be "hh:mm:ss" or "-1", not {value!r}')
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _levels(value: object, path: Path) -> dict[str, int]:
    if not isinstance(value, dict):
        raise StartError(f"{path}: logging.logLevel must be an object")
    levels: dict[str, int] = {}
    for category, word in value.items():
        if not isinstance(word, str) or word.casefold() not in _LEVELS:
            raise StartError(f"{path}: logging.logLevel.{category} must be one of {', '.join(_LEVELS)}, not {word!r}")
        levels[category] = _LEVELS[word.casefold()]
    return levels
