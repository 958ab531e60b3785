"""`darkroom deploy`: everything at once, a look before, or one step (azd's hooks call the steps)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from darkroom.deploy.check import Finding, Verdict, Wanted, check
from darkroom.deploy.cloud_tools import InstalledTools
from darkroom.deploy.package import Package, build
from darkroom.deploy.render import choices_of, parameters_of, render, write
from darkroom.deploy.steps import Steps
from darkroom.failure import CommandError, ExitCode
from shared.app_settings import PoolSettings
from shared.settings import read

ROOT = Path(__file__).resolve().parents[2]

app = typer.Typer(no_args_is_help=False, help="Deploy to Azure, or check that it would.")


@app.callback(invoke_without_command=True)
def deploy(
    context: typer.Context,
    *,
    only_check: Annotated[bool, typer.Option("--check", help="Change nothing; look first.")] = False,
) -> None:
    """Provision and deploy the chosen azd environment (`azd up`), or check first what that needs and would change."""
    if context.invoked_subcommand is not None:
        return
    if not (ROOT / "infra" / "main.bicep").exists():
        raise CommandError("This is no checkout of Darkroom: infra/ is missing.", code=ExitCode.SETTINGS)
    if only_check:
        _report(_check())
    else:
        InstalledTools().azd("up", "--cwd", str(ROOT))


@app.command("render")
def render_templates() -> None:
    """Write infra/generated/ from infra/settings.json and the application's own code."""
    for path in write(render(choices_of(ROOT / "infra")), ROOT / "infra"):
        typer.echo(f"wrote {path.relative_to(ROOT)}")


@app.command()
def package(out: Annotated[Path, typer.Option(help="Folder for the package.")] = ROOT / "build") -> None:
    """Build the worker's package."""
    typer.echo(str(build(ROOT, out).path))


@app.command()
def prepare() -> None:
    """Before provisioning: settings, formula, worker package."""
    _steps().prepare()


@app.command()
def publish() -> None:
    """After provisioning: the worker package into storage."""
    _steps().publish_package()


@app.command()
def subscribe() -> None:
    """After deploying the code: events to the function."""
    _steps().subscribe()


def _steps() -> Steps:
    return Steps(
        root=ROOT,
        tools=InstalledTools(),
        build=lambda: build(ROOT, ROOT / "build"),
        publish=_publish,
        say=lambda line: typer.echo(f"darkroom: {line}"),
    )


def _publish(built: Package, account_url: str, container: str) -> bool:
    from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential  # noqa: PLC0415 (slow to load, used once)
    from azure.storage.blob import ContainerClient  # noqa: PLC0415 (as above)

    from darkroom.deploy import publish as publishing  # noqa: PLC0415 (as above)

    with (
        ChainedTokenCredential(AzureDeveloperCliCredential(), AzureCliCredential()) as credential,
        ContainerClient(account_url, container, credential=credential) as scripts,
    ):
        return publishing.publish(built, scripts)


def _check() -> list[Finding]:
    choices = choices_of(ROOT / "infra")
    render(choices)  # a wrong setting is told before Azure is asked anything
    pool = read(PoolSettings, choices)
    tools = InstalledTools()
    values = tools.environment()
    wanted = Wanted(
        location=values.get("AZURE_LOCATION", ""),
        vm_size=pool.vm_size,
        spot_nodes=pool.max_nodes - pool.dedicated_nodes,
        dedicated_nodes=pool.max_nodes if pool.spill_over else pool.dedicated_nodes,
    )
    if not wanted.location:
        raise CommandError("The azd environment has no region yet.", code=ExitCode.SETTINGS, hint="azd env new")
    principal = values.get("AZURE_PRINCIPAL_ID") or str(tools.az("ad", "signed-in-user", "show")["id"])
    given = {"DARKROOM_WORKER_PACKAGE": "worker-not-built-yet.pyz", **values, "AZURE_PRINCIPAL_ID": principal}
    return check(tools, wanted, parameters=parameters_of(ROOT / "infra", given))


def _report(findings: list[Finding]) -> None:
    for finding in findings:
        typer.echo(f"{finding.verdict.value:>4}  {finding.what}: {finding.detail}")
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(ExitCode.NOT_OK)
