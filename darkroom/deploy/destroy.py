"""`darkroom destroy`: the deployment and all that it holds, gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from darkroom.deploy.cloud_tools import CloudTools, InstalledTools
from darkroom.failure import CommandError, ExitCode

app = typer.Typer(help="Remove the deployment.")


@app.command()
def destroy(
    name: Annotated[str, typer.Option("--yes-destroy", metavar="ENVIRONMENT", help="The environment's name.")] = "",
) -> None:
    """Delete the resource group of the chosen azd environment: images, PNGs, everything. Asks for the name first."""
    tools = InstalledTools()
    group = doomed(tools.environment(), name or typer.prompt("This deletes every image and PNG. Environment's name"))
    remove(tools, group)
    typer.echo(f"darkroom: {group} is gone")


def doomed(values: Mapping[str, str], confirmed: str) -> str:
    """The resource group to delete, once the environment was named. Raises CommandError when it was not."""
    environment, group = values.get("AZURE_ENV_NAME", ""), values.get("AZURE_RESOURCE_GROUP", "")
    if not group:
        raise CommandError("The azd environment has no resource group: nothing is deployed.", code=ExitCode.NOT_FOUND)
    if confirmed != environment:
        raise CommandError(f"{confirmed!r} is not the environment's name: nothing was deleted.", code=ExitCode.USAGE)
    return group


def remove(tools: CloudTools, group: str) -> None:
    """Delete the group and the role definitions that could be assigned in it alone (a group's deletion keeps those)."""
    scope = str(tools.az("group", "show", "--name", group)["id"])
    roles = tools.az("role", "definition", "list", "--custom-role-only", "true", "--scope", scope)
    tools.azd("down", "--force", "--purge")
    for role in roles:
        if [scope] == role["assignableScopes"]:
            tools.az("role", "definition", "delete", "--name", role["name"], "--scope", scope)
