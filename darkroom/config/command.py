"""`darkroom config`: shows every setting; exit 3 when they do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from darkroom.failure import ExitCode
from darkroom.output import JsonOption, Output, ProfileOption, safe
from darkroom.profile import current_profile
from shared.app_settings import GROUPS as APP_GROUPS
from shared.app_settings import read_app_settings
from shared.errors import SettingsError
from shared.settings import Described, describe, read
from shared.worker_settings import GROUPS as WORKER_GROUPS

app = typer.Typer()


@app.command()
def config(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only settings with this text.")] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not at their default.")] = False,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Every setting: its value, where it came from, what is allowed. Exit 3 when they do not hold together."""
    out = Output(as_json=as_json)
    place = current_profile(profile)
    groups = {
        group.__name__.removesuffix("Settings"): [
            row
            for row in describe(group, place.values)
            if (not names or any(name.upper() in row.name for name in names))
            and (not changed or row.source != "default")
        ]
        for group in (*APP_GROUPS, *WORKER_GROUPS)
    }
    fault = _fault(place.values)
    if as_json:
        rows = [{"group": group, **_as_json(row, place.source)} for group, found in groups.items() for row in found]
        out.document({"profile": place.name, "settings": rows, "fault": fault})
    else:
        out.say(f"profile: [bold]{safe(place.name)}[/]")
        if names and not any(groups.values()):
            out.say(f"\nNo setting has {safe(' or '.join(names))} in its name.")
        for group, found in groups.items():
            if found:
                out.say("")
                out.table(
                    group, ["setting", "value", "from", "allowed", "about"], [_row(r, place.source) for r in found]
                )
        out.say(f"\n[red]{safe(fault)}[/]" if fault else "\nThe settings hold.")
    if fault:
        raise typer.Exit(ExitCode.SETTINGS)


def _fault(values: Mapping[str, str]) -> str:
    try:
        read_app_settings(values)
        for group in WORKER_GROUPS:
            read(group, values)
    except SettingsError as error:
        return str(error)
    return ""


def _source(row: Described, source: str) -> str:
    return source if row.source == "environment" else row.source


def _row(row: Described, source: str) -> list[str]:
    value = safe(row.value) if row.value else "[dim](empty)[/]"
    return [row.name, value, _source(row, source), row.allowed, row.about]


def _as_json(row: Described, source: str) -> dict[str, str]:
    return {
        "name": row.name,
        "value": row.value,
        "default": row.default,
        "source": _source(row, source),
        "allowed": row.allowed,
        "about": row.about,
    }
