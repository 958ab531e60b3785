"""`darkroom formula lint|eval|show`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from darkroom.failure import CommandError, ExitCode, ProfileError
from darkroom.formula.lint import lint
from darkroom.output import ProfileOption
from darkroom.profile import CHOICE, current_profile
from localcloud.batch.autoscale import FormulaError, SampleStore, compile_formula, failed_evaluation
from pipeline.scaling import build_formula
from shared.app_settings import PoolSettings
from shared.settings import read

app = typer.Typer(no_args_is_help=True, help="Lint, evaluate, show autoscale formulas.")

Source = Annotated[str, typer.Argument(metavar="[FILE]", help="A formula; - reads it from standard input.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def formula_text(source: str, profile: str = "") -> str:
    """The text of a formula: of a file, of standard input, or, without a source, the one built from settings."""
    if not source:
        return build_formula(_pool(profile))
    if source == "-":
        return sys.stdin.read()
    try:
        return Path(source).read_text("utf-8")
    except OSError as error:
        raise CommandError(f"{source}: {error.strerror}", code=ExitCode.NOT_FOUND) from error


def _pool(profile: str = "") -> PoolSettings:
    """The settings of the profile; where there is none, those of the environment: a formula needs no system."""
    try:
        return read(PoolSettings, current_profile(profile).values)
    except ProfileError:
        if profile or os.environ.get(CHOICE):
            raise
        return read(PoolSettings, os.environ)


@app.command("lint")
def lint_command(
    source: Source = "",
    slots: Annotated[int, typer.Option(help="Task slots per node (else from settings).", min=0)] = 0,
    profile: ProfileOption = "",
    as_json: Json = False,
) -> None:
    """What a formula will do that its author did not mean. Exit code 1 where something was found."""
    findings = lint(formula_text(source, profile), slots=slots or _pool(profile).slots_per_node)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    for finding in [] if as_json else findings:
        typer.echo(f"{source or 'formula'}:{finding.line}:{finding.column}: {finding.code}")
        typer.echo(f"    {finding.why}\n    Fix: {finding.fix}")
    if not findings and not as_json:
        typer.echo("Nothing found.")
    raise typer.Exit(ExitCode.NOT_OK if findings else ExitCode.OK)


@app.command("show")
def show(*, profile: ProfileOption = "", as_json: Json = False) -> None:
    """The formula that Darkroom builds from the settings."""
    formula = build_formula(_pool(profile))
    typer.echo(json.dumps({"formula": formula}, indent=2) + "\n" if as_json else formula, nl=False)


@app.command("eval")
def evaluate(
    source: Source = "",
    *,
    metric: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A metric or target, as PendingTasks=12.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="The samples go back so far.", min=0)] = 60,
    at: Annotated[str, typer.Option(help="The time of the evaluation, ISO 8601 (else now).")] = "",
    profile: ProfileOption = "",
    as_json: Json = False,
) -> None:
    """Evaluate a formula with metrics of your choosing, steady for the last minutes. Nothing is sent to Azure."""
    values = _values(metric or [])
    now = _time(at)
    current = {"$TargetDedicatedNodes": 0.0, "$TargetLowPriorityNodes": 0.0}
    current |= {"$TaskSlotsPerNode": float(_pool(profile).slots_per_node)}
    current |= {name: value for name, value in values.items() if name.startswith(("$Target", "$Current", "$TaskSlots"))}
    try:
        evaluation = compile_formula(formula_text(source, profile)).evaluate(
            now=now, samples=_samples(values, now, minutes), current=current
        )
    except FormulaError as error:
        evaluation = failed_evaluation(error, current)
    if as_json:
        error_part = asdict(evaluation.error) if evaluation.error else None
        typer.echo(json.dumps({"results": evaluation.results, "error": error_part}, indent=2))
    else:
        typer.echo("\n".join(evaluation.results.split(";")))
        if evaluation.error:
            typer.echo(f"{evaluation.error.code}: {evaluation.error.detail}", err=True)
    raise typer.Exit(ExitCode.NOT_OK if evaluation.error else ExitCode.OK)


def _values(pairs: list[str]) -> dict[str, float]:
    values: dict[str, float] = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            values["$" + name.strip().removeprefix("$")] = float(number)
        except ValueError as error:
            raise CommandError(f"--set {pair}: wanted NAME=NUMBER", code=ExitCode.USAGE) from error
    return values


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text) if text else datetime.now(UTC)
    except ValueError as error:
        raise CommandError(f"--at {text}: no ISO 8601 time", code=ExitCode.USAGE) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _samples(values: dict[str, float], now: datetime, minutes: float) -> SampleStore:
    store = SampleStore()
    steps = int(minutes * 60 / store.period)
    for step in range(steps, -1, -1):
        store.record(now - timedelta(seconds=step * store.period), values)
    return store
