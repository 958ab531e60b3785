"""The commands by name, each loaded only when it is called: `darkroom --help` must not wait for Azure's SDKs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where a command lives, and the line that help shows for it."""

    module: str
    about: str
    panel: str


ASK, WORK, POOL, SET_UP = "Ask", "Work", "Pool and formula", "Set up"

TABLE: dict[str, Row] = {
    "status": Row(module="darkroom.status.command", about="The whole at a glance.", panel=ASK),
    "why": Row(module="darkroom.why.command", about="Why is nothing happening? Where is my image?", panel=ASK),
    "logs": Row(module="darkroom.logs.command", about="What a manifest's task printed.", panel=ASK),
    "report": Row(module="darkroom.report.command", about="Every outcome as CSV, JSON or HTML.", panel=ASK),
    "cost": Row(module="darkroom.cost.command", about="Node-hours, and money per 1,000 images.", panel=ASK),
    "drop": Row(module="darkroom.drop.command", about="Upload images.", panel=WORK),
    "make-images": Row(module="darkroom.images.command", about="Make test images in the container.", panel=WORK),
    "run": Row(module="darkroom.run.command", about="Convert what is there now.", panel=WORK),
    "sweep": Row(module="darkroom.sweep.command", about="Find what events missed.", panel=WORK),
    "fetch": Row(module="darkroom.fetch.command", about="Download PNGs.", panel=WORK),
    "quarantine": Row(module="darkroom.quarantine.command", about="Images that cannot be converted.", panel=WORK),
    "clean": Row(module="darkroom.clean.command", about="Remove test images, PNGs, jobs, archives.", panel=WORK),
    "pool": Row(module="darkroom.pool.command", about="Show, scale, pause, resume, recreate the pool.", panel=POOL),
    "formula": Row(module="darkroom.formula.command", about="Lint, evaluate, show autoscale formulas.", panel=POOL),
    "simulate": Row(module="darkroom.simulate.command", about="Compare formulas on workloads.", panel=POOL),
    "config": Row(module="darkroom.config.command", about="Every setting, its value and its source.", panel=SET_UP),
    "doctor": Row(module="darkroom.doctor.command", about="Check everything before anything runs.", panel=SET_UP),
    "demo": Row(module="darkroom.demo.command", about="Watch it work on a local cloud of its own.", panel=SET_UP),
    "deploy": Row(module="darkroom.deploy.command", about="Deploy to Azure, or check that it would.", panel=SET_UP),
    "destroy": Row(module="darkroom.deploy.destroy", about="Remove the deployment.", panel=SET_UP),
}


class LazyGroup(TyperGroup):
    """A group whose commands are stand-ins, with a name and a line of help, until one of them is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, row in TABLE.items():
            self.add_command(TyperCommand(name, help=row.about, rich_help_panel=row.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that `args` begin with, imported now. Raises ImportError when it needs what is not installed."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name in TABLE:
            command = load(name)
            self.commands[name] = command
        return name, command, rest


def load(name: str) -> Any:
    """The real command `name`: the Typer app named `app` of its module."""
    app = import_module(TABLE[name].module).app
    command = get_command(app) if isinstance(app, typer.Typer) else app
    command.name = name
    # Typer offers completion's installation on every app; `darkroom` itself is the one to offer it.
    command.params = [one for one in command.params if one.name not in {"install_completion", "show_completion"}]
    return command
