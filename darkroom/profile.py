"""Where am I: which storage account, Batch account and function app the command line talks to.

The same commands work on a laptop and on Azure; a profile says where. It is, in this order:

1. `--profile WHAT` or the environment variable `DARKROOM_PROFILE`. WHAT is a folder of a local cloud (with
   `endpoints.json`), a file (`endpoints.json`, `local.settings.json`, a `.env` such as azd's, a `.toml` table), or a
   name: a table `[profiles.NAME]` in `./darkroom.toml` or in the user's own `profiles.toml`, or an azd environment
   (`.azure/NAME/.env`).
2. The environment, where it names a storage account.
3. `./data/endpoints.json`: the local cloud that `make up` runs here.

Beside the app's settings (shared/app_settings.py) a profile gives `DARKROOM_FUNCTIONS_URL` and
`DARKROOM_FUNCTIONS_KEY`; that of a local cloud also `DARKROOM_MASTER_KEY` and `DARKROOM_EVENTS_URL`. A profile is taken
whole: variables of the environment are not mixed into it.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkroom.failure import ProfileError
from shared.app_settings import AppSettings, read_app_settings
from shared.errors import SettingsError

FUNCTIONS_URL = "DARKROOM_FUNCTIONS_URL"
FUNCTIONS_KEY = "DARKROOM_FUNCTIONS_KEY"
MASTER_KEY = "DARKROOM_MASTER_KEY"
EVENTS_URL = "DARKROOM_EVENTS_URL"
CHOICE = "DARKROOM_PROFILE"
LOCAL_CLOUD = Path("data")

_STORAGE = ("STORAGE_ACCOUNT_URL", "STORAGE_CONNECTION_STRING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The settings that hold, and what they were read from."""

    name: str
    """For people: `local cloud data`, `environment`, `prod (darkroom.toml)`."""
    source: str
    """Where a setting came from, as `darkroom config` shows it."""
    values: Mapping[str, str]

    def settings(self) -> AppSettings:
        """The app's settings. Raises SettingsError, naming the keys."""
        return read_app_settings(self.values)

    @property
    def functions_url(self) -> str:
        """Base URL of the function app, without a slash at its end; empty when the profile has none."""
        return self.values.get(FUNCTIONS_URL, "").strip().rstrip("/")

    @property
    def functions_key(self) -> str:
        return self.values.get(FUNCTIONS_KEY, "").strip()

    @property
    def events_url(self) -> str:
        """Where a local cloud's event service tells what waits; empty on Azure."""
        return self.values.get(EVENTS_URL, "").strip().rstrip("/")

    @property
    def master_key(self) -> str:
        """The host's master key, with which timers can be started by hand; empty where the operator has none."""
        return self.values.get(MASTER_KEY, "").strip()


def find_profile(choice: str | None, environ: Mapping[str, str], folder: Path) -> Profile:
    """The profile that holds for a command run in `folder`. Raises SettingsError when there is none."""
    wanted = (choice or environ.get(CHOICE, "")).strip()
    if wanted:
        return _chosen(wanted, environ, folder)
    if any(environ.get(key, "").strip() for key in _STORAGE):
        return Profile(name="environment", source="environment", values=dict(environ))
    endpoints = folder / LOCAL_CLOUD / "endpoints.json"
    if endpoints.is_file():
        return _local_cloud(endpoints, name=f"local cloud ./{LOCAL_CLOUD}")
    raise ProfileError(
        "No system to talk to. Start a local cloud here (make up), name one (--profile DIR, a file, or a name from "
        "darkroom.toml), or set STORAGE_ACCOUNT_URL and BATCH_ENDPOINT in the environment."
    )


def user_profiles(environ: Mapping[str, str]) -> Path:
    """The user's own profiles.toml: %APPDATA% on Windows, else $XDG_CONFIG_HOME or ~/.config."""
    if sys.platform == "win32":
        base = Path(environ.get("APPDATA") or Path.home())
    else:
        base = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "darkroom" / "profiles.toml"


def _chosen(wanted: str, environ: Mapping[str, str], folder: Path) -> Profile:
    path = folder / wanted
    if path.is_dir():
        endpoints = path / "endpoints.json"
        if not endpoints.is_file():
            raise ProfileError(f"--profile {wanted}: no endpoints.json there; is a local cloud running in it?")
        return _local_cloud(endpoints, name=f"local cloud {wanted}")
    if path.is_file():
        return _from_file(path, wanted)
    return _by_name(wanted, environ, folder)


def _by_name(name: str, environ: Mapping[str, str], folder: Path) -> Profile:
    places = [folder / "darkroom.toml", user_profiles(environ)]
    for place in places:
        if place.is_file():
            table = _toml(place).get("profiles", {}).get(name)
            if isinstance(table, dict):
                return Profile(name=f"{name} ({place.name})", source=place.name, values=_strings(table))
    azd = folder / ".azure" / name / ".env"
    if azd.is_file():
        return Profile(name=f"{name} (azd)", source=str(azd.relative_to(folder)), values=_env_file(azd))
    raise ProfileError(
        f"--profile {name}: no such folder, file or name; looked for [profiles.{name}] in "
        f"{', '.join(str(place) for place in places)} and for {azd}"
    )


def _from_file(path: Path, shown: str) -> Profile:
    if path.name == "endpoints.json":
        return _local_cloud(path, name=f"local cloud {shown}")
    if path.suffix == ".toml":
        return Profile(name=shown, source=path.name, values=_strings(_toml(path)))
    if path.suffix == ".json":
        values = _json(path).get("Values")
        if not isinstance(values, dict):
            raise SettingsError(f"{path}: not a local.settings.json: it has no Values")
        return Profile(name=shown, source=path.name, values=_strings(values))
    return Profile(name=shown, source=path.name, values=_env_file(path))


def _local_cloud(path: Path, *, name: str) -> Profile:
    endpoints = _json(path)
    settings = endpoints.get("settings")
    values = _strings(settings) if isinstance(settings, dict) else {}
    reached_by = {
        "STORAGE_CONNECTION_STRING": "connection_string",
        "BATCH_ENDPOINT": "batch",
        "BATCH_ACCOUNT": "batch_account",
        "BATCH_KEY": "batch_key",
        FUNCTIONS_URL: "functions",
        FUNCTIONS_KEY: "functions_key",
        MASTER_KEY: "master_key",
        EVENTS_URL: "events",
    }
    values |= {key: str(endpoints[entry]) for key, entry in reached_by.items() if endpoints.get(entry)}
    return Profile(name=name, source=path.name, values=values)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: must hold a JSON object")
    return value


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error


def _env_file(path: Path) -> dict[str, str]:
    """`KEY=value` lines, as azd and docker write them; values may be quoted."""
    values = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and not key.startswith("#"):
            values[key.strip()] = value.strip().strip("\"'")
    return values


def _strings(table: Mapping[str, Any]) -> dict[str, str]:
    return {key: _text(value) for key, value in table.items() if not isinstance(value, (dict, list))}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def current_profile(choice: str | None = None) -> Profile:
    """The profile of this process: its environment, its working directory."""
    return find_profile(choice, os.environ, Path.cwd())
