"""A status document as tables for a terminal. Pure; names and messages are shown as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from darkroom.output import ago, duration, moment, size

MANIFESTS = 8
_TIMERS = ("ingest", "dispatch", "collect", "sweep")


def render(document: Mapping[str, Any], now: datetime) -> RenderableType:
    """The whole at a glance."""
    parts: list[RenderableType] = [_troubles(document), _figures(document), _stages(document, now), _pool(document)]
    if document.get("manifests"):
        parts.append(_manifests(document, now))
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text()]
    return Group(*spaced[:-1])


def _troubles(document: Mapping[str, Any]) -> RenderableType:
    troubles = document.get("troubles") or []
    if not troubles:
        return Text("no trouble", style="green")
    text = Text()
    for trouble in troubles:
        text.append(f"{trouble.get('code', '')} ", style="bold red" if trouble.get("serious") else "bold yellow")
        text.append(f"{_plain(trouble.get('message', ''))}\n")
    text.append("darkroom why says what to do")
    return text


def _figures(document: Mapping[str, Any]) -> Table:
    totals, rates = _mapping(document.get("totals")), _mapping(document.get("rates"))
    oldest = float(document.get("oldest_waiting_seconds") or 0)
    quarantined = document.get("quarantined")
    minutes = f"{rates.get('minutes', 0):g}"
    table = _table()
    table.add_row(
        "arrivals waiting",
        f"{document.get('waiting', 0):,}",
        f"oldest {duration(oldest)}" if oldest else "",
    )
    table.add_row(
        "open manifests",
        f"{document.get('open_manifests', 0):,}",
        f"{document.get('open_images', 0):,} images, {document.get('unsubmitted', 0):,} without a task",
    )
    table.add_row("tasks", _states(document.get("tasks")), "")
    table.add_row("nodes", _states(document.get("nodes")), "")
    table.add_row(
        "PNGs made",
        f"{totals.get('converted', 0):,}",
        f"{rates.get('converted_per_minute', 0):g} a minute over {minutes} min; "
        f"{rates.get('arrived_per_minute', 0):g} arrive; {size(float(totals.get('bytes_out', 0)))} written",
    )
    table.add_row("quarantine", "not known yet" if quarantined is None else f"{quarantined:,}", "")
    return table


def _stages(document: Mapping[str, Any], now: datetime) -> Table:
    table = _table("stage", "last run", "result")
    stages = _mapping(document.get("stages"))
    for name in dict.fromkeys((*_TIMERS, *stages)):
        state = stages.get(name)
        if not isinstance(state, dict):
            table.add_row(name, "never", "")
            continue
        error = state.get("error")
        result = Text("fine", style="green")
        if isinstance(error, dict):
            result = Text(_plain(error.get("message", "failed")), style="red")
        table.add_row(name, ago(str(state.get("finished", "")), now), result)
    return table


def _pool(document: Mapping[str, Any]) -> Table:
    pool = _mapping(document.get("pool"))
    table = _table()
    if not pool.get("exists"):
        table.add_row("pool", "none (yet)" if pool else "not looked at yet")
        return table
    scaling = _mapping(pool.get("autoscale"))
    table.add_row(
        "pool", f"{pool.get('id')}: {pool.get('state')}, {pool.get('allocation_state')}, {pool.get('vm_size')}"
    )
    table.add_row(
        "nodes wanted / there",
        f"{pool.get('target_low_priority', 0)} / {pool.get('current_low_priority', 0)} Spot, "
        f"{pool.get('target_dedicated', 0)} / {pool.get('current_dedicated', 0)} dedicated",
    )
    if not scaling.get("enabled"):
        table.add_row("formula", "off: held by hand (darkroom pool resume)")
        return table
    table.add_row("formula", f"{_one_line(str(scaling.get('formula', '')))}  (darkroom formula show)")
    table.add_row("evaluated", _clock(str(scaling.get("evaluated") or "")))
    table.add_row("", _results(str(scaling.get("results") or "")))
    error = scaling.get("error")
    if error:
        table.add_row("formula error", Text(_plain(error), style="red"))
    return table


def _manifests(document: Mapping[str, Any], now: datetime) -> Table:
    table = _table("open manifest", "images", "since", "job")
    shown = list(document["manifests"])
    for one in shown[:MANIFESTS]:
        since = one.get("submitted") or one.get("created") or ""
        table.add_row(one.get("id", ""), f"{one.get('images', 0):,}", ago(since, now), one.get("job") or "no task yet")
    left = int(document.get("open_manifests", len(shown))) - MANIFESTS
    if left > 0:
        table.add_row(f"and {left:,} more", "", "", "")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=bool(columns), header_style="bold")
    for column in columns or ("", "", ""):
        table.add_column(column, overflow="fold")
    return table


def _states(counts: object) -> str:
    shown = [f"{count} {state}" for state, count in _mapping(counts).items() if count]
    return ", ".join(shown) or "none"


def _one_line(formula: str) -> str:
    lines = [line for line in formula.splitlines() if line.strip() and not line.strip().startswith("//")]
    return f"{len(lines)} statements"


def _results(results: str) -> str:
    return "; ".join(part for part in results.split(";") if part.startswith("$"))


def _clock(text: str) -> str:
    at = moment(text)
    return at.isoformat(timespec="seconds") if at else "never yet"


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _plain(value: object) -> str:
    text = str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
