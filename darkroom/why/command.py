"""`darkroom why [IMAGE]`: where an image is; without one, what keeps the whole."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from darkroom.connection import connected
from darkroom.failure import ExitCode
from darkroom.output import JsonOption, Output, ProfileOption, safe
from darkroom.why.diagnosis import diagnose
from darkroom.why.finding import PATIENCE, Finding, Weight
from darkroom.why.image import know
from darkroom.why.story import Story, Verdict, tell

app = typer.Typer()
_COLOURS = {Weight.BLOCKED: "red", Weight.SLOWED: "yellow", Weight.NOTE: "cyan"}


@app.command()
def why(
    image: Annotated[str, typer.Argument(metavar="[IMAGE]", help="A blob's name in the images container.")] = "",
    *,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds that a timer, an arrival or an event may be late before it is told.")
    ] = PATIENCE,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Where an image is, or what it waits for; without one, why nothing happens and what to do about it.

    Exit 1 when something blocks; for an image, when it has no PNG yet; 6 when there is no such image.
    """
    out = Output(as_json=as_json)
    if image:
        story = connected(profile, lambda connection: know(connection, image))
        _tell_story(out, tell(story, patience=patience))
        return
    findings = connected(profile, partial(diagnose, patience=patience))
    if as_json:
        out.document({"blocked": _blocked(findings), "findings": findings})
    else:
        _tell_findings(out, findings)
    if _blocked(findings):
        raise typer.Exit(ExitCode.NOT_OK)


def _blocked(findings: list[Finding]) -> bool:
    return any(finding.weight is Weight.BLOCKED for finding in findings)


def _tell_findings(out: Output, findings: list[Finding]) -> None:
    if not findings:
        out.say("[green]Nothing is wrong.[/] What waits, is being worked on.")
    for finding in findings:
        colour = _COLOURS[finding.weight]
        out.say(f"[{colour}]{finding.weight.value}[/] [bold]{finding.code.value}[/]  {safe(finding.what)}")
        for line in finding.evidence:
            out.say(f"    [dim]| {safe(line)}[/]")
        if finding.advice:
            out.say(f"    → {safe(finding.advice)}")


def _tell_story(out: Output, story: Story) -> None:
    if out.as_json:
        out.document(story)
    else:
        out.say(f"[bold]{safe(story.name)}[/]: {safe(story.sentence)}")
        if story.advice:
            out.say(f"    → {safe(story.advice)}")
        if story.steps:
            out.say("")
            out.table("", ["when", "where", "what"], [(step.at, step.place, safe(step.what)) for step in story.steps])
    if story.verdict is Verdict.GONE:
        raise typer.Exit(ExitCode.NOT_FOUND)
    if story.verdict is not Verdict.DONE:
        raise typer.Exit(ExitCode.NOT_OK)
