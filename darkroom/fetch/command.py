"""`darkroom fetch DIR`: downloads PNGs in parallel; run again, it takes only what is new."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from darkroom.connection import Connection, connected
from darkroom.failure import ExitCode
from darkroom.fetch.download import Fetched, Got, fetch_all
from darkroom.output import JsonOption, Output, PrefixOption, ProfileOption, safe, size

app = typer.Typer()


@app.command()
def fetch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="Where the PNGs go.")],
    prefix: PrefixOption = "",
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Download PNGs, with their folders. Resumable. Exit 1 when one could not be had."""
    out = Output(as_json=as_json)
    counts: Counter[Got] = Counter()
    failed: list[Fetched] = []
    received = 0

    async def work(connection: Connection) -> None:
        nonlocal received
        container = await connection.container(connection.settings.storage.converted)
        with out.progress(unit="PNGs") as progress:
            bar = progress.add_task("fetch", total=0)
            found = 0

            def listed() -> None:
                nonlocal found
                found += 1
                progress.update(bar, total=found)

            async for end in fetch_all(container, folder, prefix, listed=listed):
                counts[end.got] += 1
                received += end.bytes
                if end.got is Got.FAILED:
                    failed.append(end)
                progress.advance(bar)

    connected(profile, work)
    if as_json:
        out.document({"fetched": counts[Got.FETCHED], "there": counts[Got.THERE], "failed": failed, "bytes": received})
    else:
        for end in failed:
            out.remark(f"[red]failed[/] [bold]{safe(end.name)}[/]: {safe(end.detail)}")
        out.say(
            f"fetched {counts[Got.FETCHED]} ({size(received)}), there already {counts[Got.THERE]}, "
            f"failed {counts[Got.FAILED]}"
        )
    if failed:
        raise typer.Exit(ExitCode.NOT_OK)
