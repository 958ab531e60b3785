"""`darkroom doctor`."""

from __future__ import annotations

import typer

from darkroom.connection import connected
from darkroom.doctor.check import Check, Verdict, check_system, check_versions
from darkroom.failure import ExitCode
from darkroom.output import JsonOption, Output, ProfileOption, safe
from darkroom.profile import current_profile
from shared.errors import SettingsError

app = typer.Typer()
_MARKS = {Verdict.FINE: "[green]fine [/]", Verdict.LOOK: "[yellow]look [/]", Verdict.WRONG: "[red]wrong[/]"}


@app.command()
def doctor(*, profile: ProfileOption = "", as_json: JsonOption = False) -> None:
    """Check settings, containers, permissions, pool, identity and versions. Exit 1 when something is wrong."""
    out = Output(as_json=as_json)
    place = current_profile(profile)
    checks = check_versions()
    try:
        place.settings()
    except SettingsError as error:
        checks.append(
            Check(about="settings", verdict=Verdict.WRONG, detail=str(error), advice="darkroom config shows them all")
        )
    else:
        checks.append(Check(about="settings", verdict=Verdict.FINE, detail=place.name))
        checks += connected(profile, check_system)
    wrong = any(check.verdict is Verdict.WRONG for check in checks)
    if as_json:
        out.document({"profile": place.name, "fine": not wrong, "checks": checks})
    else:
        for check in checks:
            out.say(f"{_MARKS[check.verdict]}  {safe(check.about)}{': ' + safe(check.detail) if check.detail else ''}")
            if check.advice and check.verdict is not Verdict.FINE:
                out.say(f"       → {safe(check.advice)}")
    if wrong:
        raise typer.Exit(ExitCode.NOT_OK)
