"""`darkroom clean WHAT…`: says what would go, asks, removes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from darkroom.clean.plan import ABOUT, Kind, blobs_of
from darkroom.clean.removal import find_blobs, find_jobs, remove_blobs, remove_jobs
from darkroom.connection import Connection, connected
from darkroom.output import DryRunOption, JsonOption, Output, PrefixOption, ProfileOption, YesOption, confirm
from darkroom.since import since

app = typer.Typer()

Older = Annotated[
    str, typer.Option("--older-than", metavar="WHEN", help="Only what was last written before then: 7d, 2026-11-01.")
]


@app.command()
def clean(
    what: Annotated[list[Kind], typer.Argument(metavar="WHAT", help=" · ".join(kind.value for kind in Kind))],
    *,
    prefix: PrefixOption = "",
    older_than: Older = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Remove test images, PNGs, quarantine documents, archives, done jobs, or everything but the images."""
    out = Output(as_json=as_json)
    before = since(older_than, datetime.now(UTC)) if older_than else None

    async def work(connection: Connection) -> dict[str, int]:
        found: dict[str, dict[str, None]] = {}
        for kind in what:
            for blobs in blobs_of(kind, connection.settings.storage, prefix=prefix, before=before):
                found.setdefault(blobs.container, {}).update(dict.fromkeys(await find_blobs(connection, blobs)))
        jobs = []
        if Kind.JOBS in what or Kind.EVERYTHING in what:
            jobs = await find_jobs(connection, before=before, open_too=Kind.EVERYTHING in what)
        counts = {container: len(names) for container, names in found.items()} | ({"jobs": len(jobs)} if jobs else {})
        if dry_run or not any(counts.values()):
            return counts
        for kind in what:
            out.say(f"{kind.value}: {ABOUT[kind]}")
        confirm(f"Remove {_told(counts)} from {connection.profile.name}?", yes=yes)
        with out.progress() as progress:
            bar = progress.add_task("clean", total=sum(counts.values()))

            def advance(count: int) -> None:
                progress.advance(bar, count)

            await remove_jobs(connection, jobs, advance)
            for container, names in found.items():
                await remove_blobs(connection, container, list(names), advance)
        return counts

    counts = connected(profile, work)
    if as_json:
        out.document({"removed": {} if dry_run else counts, "would_remove": counts if dry_run else {}})
    else:
        out.say(f"{'would remove' if dry_run else 'removed'} {_told(counts)}")


def _told(counts: dict[str, int]) -> str:
    parts = [
        f"{count:,} {'job(s)' if name == 'jobs' else f'blob(s) of {name}'}" for name, count in counts.items() if count
    ]
    return ", ".join(parts) or "nothing"
