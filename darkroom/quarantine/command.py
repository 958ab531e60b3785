"""`darkroom quarantine list|show|replay|drop`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

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
from darkroom.quarantine.reading import Listed, list_quarantine, read_document
from shared.quarantine import Quarantined

app = typer.Typer(no_args_is_help=True, help="Images that cannot be converted: list, show, replay, drop.")

ReasonOption = Annotated[str, typer.Option("--reason", metavar="CODE", help="Only those with this reason.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[IMAGE…]", help="Images by name.")]
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

    async def work(connection: Connection) -> int:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

        container = await connection.container(connection.settings.storage.quarantine)
        chosen = list(names or [])
        if not names:
            chosen = [one.name async for one in list_quarantine(container, prefix=prefix, reason=reason)]
        if dry_run or not chosen:
            return len(chosen)
        confirm(f"Remove {len(chosen)} document(s) from quarantine?", yes=yes)
        for name in chosen:
            try:
                await container.delete_blob(name)
            except ResourceNotFoundError as error:
                if names:
                    raise CommandError(f"{name!r} is not in quarantine", code=ExitCode.NOT_FOUND) from error
        return len(chosen)

    count = connected(profile, work)
    if as_json:
        out.document({"dropped": 0 if dry_run else count, "would_drop": count if dry_run else 0})
    else:
        out.say(f"{'would remove' if dry_run else 'removed'} {count} document(s)")


def _check_choice(names: list[str] | None, prefix: str, reason: str, *, every: bool) -> None:
    if not (names or prefix or reason or every):
        raise typer.BadParameter("say which: names, --prefix, --reason or --all")
    if names and (prefix or reason or every):
        raise typer.BadParameter("names exclude --prefix, --reason and --all")
