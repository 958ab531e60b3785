"""`darkroom drop PATH…`: uploads files or folders, skips what is there unchanged, keeps relative paths."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from darkroom.connection import Connection, connected
from darkroom.drop.selection import Chosen, Left, select
from darkroom.drop.upload import Done, Dropped, upload_all
from darkroom.failure import ExitCode
from darkroom.output import DryRunOption, JsonOption, Output, ProfileOption, safe, size

app = typer.Typer()


@app.command()
def drop(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files, or folders with everything in them.")],
    prefix: Annotated[str, typer.Option(help="Goes before every blob's name, as in `batch-7/`.")] = "",
    dry_run: DryRunOption = False,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Upload images. Files with other names than a JPG's are left, and said so. Exit 1 when an image was not."""
    out = Output(as_json=as_json)
    selection = list(select(paths, prefix))
    chosen = [entry for entry in selection if isinstance(entry, Chosen)]
    left = [entry for entry in selection if isinstance(entry, Left)]
    dropped: list[Dropped] = []
    if not dry_run and chosen:
        dropped = connected(profile, lambda connection: _upload(connection, chosen, out))
    _tell(out, chosen, left, dropped, dry_run=dry_run)
    if any(entry.wanted for entry in left) or any(entry.done is Done.FAILED for entry in dropped):
        raise typer.Exit(ExitCode.NOT_OK)


async def _upload(connection: Connection, chosen: list[Chosen], out: Output) -> list[Dropped]:
    container = await connection.container(connection.settings.storage.images)
    ends = []
    with out.progress(unit="images") as progress:
        bar = progress.add_task("drop", total=len(chosen))
        async for end in upload_all(container, chosen):
            ends.append(end)
            progress.advance(bar)
    return ends


def _tell(out: Output, chosen: list[Chosen], left: list[Left], dropped: list[Dropped], *, dry_run: bool) -> None:
    counts = Counter(entry.done for entry in dropped)
    sent = sum(entry.bytes for entry in dropped if entry.done is Done.UPLOADED)
    if out.as_json:
        out.document(
            {
                "uploaded": counts[Done.UPLOADED],
                "unchanged": counts[Done.UNCHANGED],
                "failed": [entry for entry in dropped if entry.done is Done.FAILED],
                "left": [{"path": str(entry.path), "reason": entry.reason} for entry in left],
                "bytes": sent,
                "would_upload": [entry.name for entry in chosen] if dry_run else [],
            }
        )
        return
    for skipped in left:
        out.remark(f"left [bold]{safe(str(skipped.path))}[/]: {skipped.reason}")
    for end in dropped:
        if end.done is Done.FAILED:
            out.remark(f"[red]failed[/] [bold]{safe(end.name)}[/]: {safe(end.detail)}")
    if dry_run:
        for entry in chosen:
            out.say(safe(entry.name))
        out.say(f"would upload {len(chosen)} (those that are there unchanged are skipped)")
        return
    out.say(
        f"uploaded {counts[Done.UPLOADED]} ({size(sent)}), unchanged {counts[Done.UNCHANGED]}, "
        f"failed {counts[Done.FAILED]}, left {len(left)}"
    )
