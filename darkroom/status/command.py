"""`darkroom status [--watch]`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from darkroom.failure import ExitCode
from darkroom.output import JsonOption, Output, ProfileOption, safe
from darkroom.profile import current_profile
from darkroom.status.asking import ask_status
from darkroom.status.rendering import render

app = typer.Typer()


@app.command()
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 3.0,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Arrivals, manifests, tasks, nodes, PNGs, quarantine, rates, timers, pool. Exit 1 when something is serious."""
    out = Output(as_json=as_json)
    place = current_profile(profile)
    if watch:
        from darkroom.status.watching import watch as watch_it  # noqa: PLC0415 (only --watch draws)

        watch_it(out, lambda: ask_status(place), every)
        return
    asked = ask_status(place)
    if asked.remark:
        out.remark(f"[yellow]{safe(asked.remark)}[/]")
    if as_json:
        out.document(asked.document)
    else:
        out.console.print(render(asked.document, datetime.now(UTC)))
    if any(trouble.get("serious") for trouble in asked.document.get("troubles", ())):
        raise typer.Exit(ExitCode.NOT_OK)
