"""App settings as the host sees them: the environment, then local.settings.json.

https://learn.microsoft.com/azure/azure-functions/functions-develop-local#local-settings-file
"""

import json
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from localcloud.errors import LocalCloudError, StartError

_REFERENCE = re.compile(r"%([^%]+)%")

_OF_THE_HOST = {
    "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "FUNCTIONS_EXTENSION_VERSION": "~4",
}


class SettingError(LocalCloudError):
    """A `%NAME%` that no app setting resolves."""


def local_settings(app_root: Path) -> dict[str, str]:
    """`Values` of the app's local.settings.json; nothing where there is no file. Raises StartError."""
    path = app_root / "local.settings.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StartError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Values", {}), dict):
        raise StartError(f"{path} must hold an object with an object `Values`")
    if document.get("IsEncrypted", True):  # absent means true, as with Core Tools
        raise StartError(f"{path} is encrypted (or lacks `IsEncrypted: false`): run `func settings decrypt`")
    values = document.get("Values", {})
    if not all(isinstance(value, str) for value in values.values()):
        raise StartError(f"{path}: every entry of `Values` must be a string")
    return dict(values)


def apply_settings(environment: MutableMapping[str, str], app_root: Path, *, port: int) -> None:
    """Complete `environment` as the host does before it starts the app: what is set there wins."""
    values = {**_OF_THE_HOST, "WEBSITE_HOSTNAME": f"localhost:{port}", **local_settings(app_root)}
    for name, value in values.items():
        environment.setdefault(name, value)


def resolve(text: str, environment: Mapping[str, str]) -> str:
    """`text` with each `%NAME%` replaced by that app setting. Raises SettingError."""

    def setting(match: re.Match[str]) -> str:
        value = environment.get(match.group(1))
        if not value:
            raise SettingError(f"{match.group(0)} does not resolve: the app setting {match.group(1)!r} is missing")
        return value

    return _REFERENCE.sub(setting, text)
