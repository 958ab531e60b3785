"""`darkroom report`: merges all outcomes into one CSV or JSON file, and makes an HTML summary."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from darkroom.connection import Connection, connected
from darkroom.output import JsonOption, Output, ProfileOption, safe, size
from darkroom.report.files import Rows, csv_rows, json_rows
from darkroom.report.page import report_page
from darkroom.report.reading import read_outcomes
from darkroom.report.summary import Summary
from darkroom.since import SinceOption, since
from shared.outcome import Result

app = typer.Typer()


@app.command()
def report(
    *,
    when: SinceOption = "30d",
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Every outcome, a row each (`-`: here).")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE", help="The same rows as one JSON array.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="A summary for people.")] = None,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """What became of every image: counts here, every row in files. The span is by when a task last wrote."""
    out = Output(as_json=as_json)
    now = datetime.now(UTC)
    start = since(when, now)
    if as_json and csv == Path("-"):
        raise typer.BadParameter("--json and --csv - both want standard output")
    summary = Summary()

    async def work(connection: Connection) -> None:
        container = await connection.container(connection.settings.storage.outcomes)
        with ExitStack() as stack:
            sinks = _sinks(stack, csv, rows)
            async for blob in read_outcomes(container, since=start):
                summary.torn += blob.torn
                for outcome in blob.outcomes:
                    summary.add(outcome)
                    for sink in sinks:
                        sink(outcome, blob.manifest, blob.run)

    connected(profile, work)
    if html is not None:
        made = now.isoformat(timespec="seconds")
        html.write_text(report_page(summary, title="Darkroom report", made=made), encoding="utf-8")
    if csv == Path("-"):
        return
    if as_json:
        out.document(summary.as_json() | {"since": start.isoformat()})
        return
    _tell(out, summary, [path for path in (csv, rows, html) if path is not None])


def _sinks(stack: ExitStack, csv: Path | None, rows: Path | None) -> list[Rows]:
    sinks: list[Rows] = []
    if csv is not None:
        file = sys.stdout if csv == Path("-") else stack.enter_context(csv.open("w", encoding="utf-8", newline=""))
        sinks.append(stack.enter_context(csv_rows(file)))
    if rows is not None:
        sinks.append(stack.enter_context(json_rows(stack.enter_context(rows.open("w", encoding="utf-8")))))
    return sinks


def _tell(out: Output, summary: Summary, written: list[Path]) -> None:
    if summary.images:
        out.say(f"{summary.images:,} images from {summary.first} to {summary.last}")
    else:
        out.say("no outcome in this time")
    out.table("", ["result", "images"], [(r.value, f"{summary.by_result[r]:,}") for r in Result], right=1)
    if summary.by_reason:
        out.say("")
        out.table(
            "rejected", ["reason", "images"], [(r, f"{n:,}") for r, n in summary.by_reason.most_common()], right=1
        )
    if summary.by_result[Result.CONVERTED]:
        out.say(
            f"\n{size(summary.bytes_in)} of JPGs became {size(summary.bytes_out)} of PNGs; "
            f"95 of 100 images took at most {summary.percentile(0.95)} ms"
        )
    for path in written:
        out.say(f"wrote {safe(str(path))}")
