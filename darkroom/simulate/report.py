"""Comparisons for people: tables in Markdown, pictures, one HTML page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from darkroom.simulate.comparison import TraceComparison, World, totals
from darkroom.simulate.formulas import OURS
from darkroom.simulate.model import HOUR
from darkroom.simulate.run import Raw, Sample
from darkroom.simulate.svg import Line, Panel, Point, panels, plane

BUCKETS = 240


def number(value: float, digits: int = 2) -> str:
    """A figure in a table; ∞ where work was never done."""
    return "∞" if math.isinf(value) else f"{value:,.{digits}f}"


COLUMNS = (
    "formula", "p50 s", "p95 s", "max s", "drain s", "node-hours", "used", "idle h", "booting h",
    "redone s", "per 1,000", "wait/bound", "cost/bound", "front",
)  # fmt: skip


def rows(comparison: TraceComparison) -> list[tuple[str, ...]]:
    """The table of one trace, the least sum of both ratios first."""
    table = []
    for name, cell in sorted(comparison.cells.items(), key=lambda item: item[1].score):
        r = cell.result
        figures = (number(value, 0) for value in (r.p50, r.p95, r.longest, r.drain_seconds))
        hours = (number(r.node_hours, 1), f"{r.utilisation:.0%}", number(r.idle_hours, 1), number(r.booting_hours, 1))
        ratios = (number(cell.wait_ratio), number(cell.cost_ratio), "●" if cell.on_front else "")
        table.append((name, *figures, *hours, number(r.redone_seconds, 0), number(r.cost_per_1000, 4), *ratios))
    return table


TOTAL_COLUMNS = ("formula", "wait/bound, summed", "cost/bound, summed", "both", "on the front of")


def total_rows(comparisons: Sequence[TraceComparison]) -> list[tuple[str, ...]]:
    """The table over all traces."""
    return [
        (t.formula, number(t.wait), number(t.cost), number(t.score), f"{t.fronts} of {len(comparisons)}")
        for t in totals(comparisons)
    ]


def markdown(columns: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    lines += ["| " + " | ".join(f"**{cell}**" if row[0] == OURS else cell for cell in row) + " |" for row in table]
    return "\n".join(lines) + "\n"


def html_table(columns: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """The same in HTML."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr{' class=ours' if row[0] == OURS else ''}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def plane_of(comparison: TraceComparison) -> str:
    """The picture of cost against wait."""
    points = [
        Point(name=name, x=cell.cost_ratio, y=cell.wait_ratio, ours=name == OURS, on_front=cell.on_front)
        for name, cell in comparison.cells.items()
    ]
    return plane(points, title=comparison.trace.name, about=comparison.trace.about)


def timeline_of(comparison: TraceComparison, names: Sequence[str], world: World) -> str:
    """Pending tasks, nodes and money over time, for a few formulas."""
    raws = [(name, comparison.raws[name]) for name in names if name in comparison.raws]

    def rate(sample: Sample) -> float:
        spot = max(0.0, sample.spot - sample.preempted)
        return spot * world.prices.spot + sample.dedicated * world.prices.dedicated

    rows_ = [
        Panel(title="pending tasks", lines=[_line(name, raw, lambda s: s.active + s.running) for name, raw in raws]),
        Panel(
            title="nodes (billed)",
            lines=[_line(name, raw, lambda s: s.spot - s.preempted + s.dedicated) for name, raw in raws],
        ),
        Panel(title="money spent", lines=[_spent(name, raw, rate) for name, raw in raws]),
    ]
    return panels(rows_, title=comparison.trace.name)


def _line(name: str, raw: Raw, value: Callable[[Sample], float]) -> Line:
    """The highest value in each of `BUCKETS` parts of the run."""
    samples = [sample for sample in raw.samples if sample.at >= 0]
    size = max(1, -(-len(samples) // BUCKETS))
    parts = [samples[at : at + size] for at in range(0, len(samples), size)]
    return Line(name=name, points=[(part[0].at / HOUR, max(map(value, part))) for part in parts])


def _spent(name: str, raw: Raw, rate: Callable[[Sample], float]) -> Line:
    spent, points = 0.0, []
    samples = [sample for sample in raw.samples if sample.at >= 0]
    size = max(1, -(-len(samples) // BUCKETS))
    for index, sample in enumerate(samples):
        spent += rate(sample) * 30.0 / HOUR
        if index % size == 0:
            points.append((sample.at / HOUR, spent))
    return Line(name=name, points=points)


def leaders(comparisons: Sequence[TraceComparison]) -> list[str]:
    """Ours, and the two best of the others over all traces: what the timelines show."""
    others = [total.formula for total in totals(comparisons) if total.formula != OURS][:2]
    ours = [OURS] if OURS in comparisons[0].cells else []
    return [*ours, *others]


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Autoscale formulas compared</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 14px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 2rem auto; padding: 0 1rem;
  color: light-dark(#1f2328, #e6edf3); background: light-dark(#fff, #0d1117); }}
table {{ border-collapse: collapse; font-size: 12px; margin: 1rem 0; display: block; overflow-x: auto; }}
th, td {{ padding: 2px 8px; text-align: right; border-bottom: 1px solid light-dark(#d0d7de, #3d444d); }}
th:first-child, td:first-child {{ text-align: left; }} tr.ours {{ font-weight: 700; }}
figure {{ display: inline-block; margin: 0 1rem 1rem 0; max-width: 100%; vertical-align: top; }}
svg {{ max-width: 100%; height: auto; }} figure.wide {{ width: 720px; }} figure.square {{ width: 560px; }}
</style></head><body>
<h1>Autoscale formulas compared</h1>
<p>Waits are from an image's arrival to its PNG. The bound is the clairvoyant's. A dot in
<b>front</b>: no other formula is at least as good in wait and cost and better in one.</p>
{body}
</body></html>
"""


def page(comparisons: Sequence[TraceComparison], world: World) -> str:
    """One HTML page without anything from elsewhere."""
    shown = leaders(comparisons)
    parts = []
    if len(comparisons) > 1:
        parts.append("<h2>All traces</h2>" + html_table(TOTAL_COLUMNS, total_rows(comparisons)))
    for comparison in comparisons:
        least = comparison.bound
        parts.append(
            f"<h2>{escape(comparison.trace.name)}</h2><p>{escape(comparison.trace.about)}."
            f" Bound: p95 {least.p95:,.0f} s, cost {least.cost:.4f}.</p>"
            f'<figure class="square">{plane_of(comparison)}</figure>'
            f'<figure class="wide">{timeline_of(comparison, shown, world)}</figure>'
            + html_table(COLUMNS, rows(comparison))
        )
    return _PAGE.format(body="\n".join(parts))
