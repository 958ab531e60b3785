"""`darkroom quarantine list|show|replay|drop`."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from darkroom.connection import Connection, connected
from darkroom.failure import CommandError, ExitCode
from darkroom.output import (
    DryRunOption,
    JsonOption,
    Output,
    PrefixOption,
    ProfileOption,
    YesOption,
    ago,
    confirm,
    safe,
)
from darkroom.profile import current_profile
from darkroom.quarantine.reading import Listed, list_quarantine, read_document
from shared.quarantine import Quarantined

if TYPE_CHECKING:
    from pipeline.replay import Chosen

app = typer.Typer(no_args_is_help=True, help="Images that cannot be converted: list, show, replay, drop.")

ReasonOption = Annotated[str, typer.Option("--reason", metavar="CODE", help="Only those with this reason.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="IMAGE", help="Images by name.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every image in quarantine.")]


@app.command("list")
def list_(
    *,
    prefix: PrefixOption = "",
    reason: ReasonOption = "",
    limit: Annotated[int, typer.Option(min=1, help="Most rows shown (all are counted).")] = 100,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """The images in quarantine, with reasons."""
    out = Output(as_json=as_json)
    shown: list[Listed] = []
    reasons: Counter[str] = Counter()

    async def work(connection: Connection) -> None:
        container = await connection.container(connection.settings.storage.quarantine)
        async for one in list_quarantine(container, prefix=prefix, reason=reason):
            reasons[one.reason] += 1
            if len(shown) < limit:
                shown.append(one)

    connected(profile, work)
    total = sum(reasons.values())
    if as_json:
        out.document({"count": total, "by_reason": dict(reasons.most_common()), "shown": shown})
        return
    now = datetime.now(UTC)
    out.table(
        "", ["image", "reason", "since"], [(safe(one.name), safe(one.reason), ago(one.since, now)) for one in shown]
    )
    told = ", ".join(f"{count:,} {safe(name)}" for name, count in reasons.most_common())
    out.say(f"\n{total:,} in quarantine{': ' + told if told else ''}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="IMAGE")], *, profile: ProfileOption = "", as_json: JsonOption = False
) -> None:
    """One image's document: why, when, after how many attempts."""
    out = Output(as_json=as_json)

    async def work(connection: Connection) -> Quarantined:
        return await read_document(await connection.container(connection.settings.storage.quarantine), name)

    document = connected(profile, work)
    if as_json:
        out.document(document)
        return
    rows = [
        ("image", document.name),
        ("version", f"{document.etag}, {document.size} bytes"),
        ("reason", document.reason),
        ("detail", document.detail),
        ("when", document.when),
        ("attempts", str(document.attempts)),
        ("manifest", document.manifest),
    ]
    out.table("", ["", ""], [(key, safe(value)) for key, value in rows])


@app.command()
def replay(
    names: NamesArgument = None,
    *,
    prefix: PrefixOption = "",
    reason: ReasonOption = "",
    every: AllOption = False,
    dry_run: DryRunOption = False,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send images on their way again: after they were mended, or after a new worker can read them."""
    out = Output(as_json=as_json)
    _check_choice(names, prefix, reason, every=every)
    told = asyncio.run(_work(profile, _chosen(names, prefix, reason), "replay", dry_run=dry_run))
    if as_json:
        out.document(told)
        return
    out.say(f"{'would send' if dry_run else 'sent'} {told['replayed']} of {told['matched']} on their way again")
    if told["gone"]:
        out.say(f"{told['gone']} are not in the images container any more: darkroom quarantine drop forgets them")
    if names and told["matched"] < len(names):
        raise CommandError(f"{len(names) - told['matched']} of them are not in quarantine", code=ExitCode.NOT_FOUND)


@app.command()
def drop(
    names: NamesArgument = None,
    *,
    prefix: PrefixOption = "",
    reason: ReasonOption = "",
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Remove documents from quarantine. An image that is still there is tried again by the next sweep."""
    out = Output(as_json=as_json)
    _check_choice(names, prefix, reason, every=every)

    chosen = _chosen(names, prefix, reason)
    if not dry_run and not yes:
        found = asyncio.run(_work(profile, chosen, "drop", dry_run=True))
        confirm(f"Remove {found['matched']} document(s) from quarantine?", yes=yes)
    told = asyncio.run(_work(profile, chosen, "drop", dry_run=dry_run))
    if as_json:
        out.document(told)
    else:
        out.say(f"{'would remove' if dry_run else 'removed'} {told['dropped']} document(s)")
    if names and told["matched"] < len(names):
        raise CommandError(f"{len(names) - told['matched']} of them are not in quarantine", code=ExitCode.NOT_FOUND)


def _chosen(names: list[str] | None, prefix: str, reason: str) -> Chosen:
    from pipeline.replay import Chosen  # noqa: PLC0415 (the pipeline loads slowly, and list needs none of it)

    return Chosen(names=tuple(names or ()), prefix=prefix, reason=reason)


async def _work(profile: str, chosen: Chosen, what: str, *, dry_run: bool) -> dict[str, Any]:
    from pipeline.clients import open_app  # noqa: PLC0415 (Azure's SDKs are slow to load)

    async with open_app(current_profile(profile).values) as darkroom:
        replay_ = darkroom.replay
        done = await (replay_.drop if what == "drop" else replay_.replay)(chosen, dry_run=dry_run)
        return done.as_json()


def _check_choice(names: list[str] | None, prefix: str, reason: str, *, every: bool) -> None:
    if not (names or prefix or reason or every):
        raise typer.BadParameter("say which: names, --prefix, --reason or --all")
    if names and (prefix or reason or every):
        raise typer.BadParameter("names exclude --prefix, --reason and --all")
