"""`darkroom simulate`: formulas against workloads, before anything is deployed."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from darkroom.failure import CommandError, ExitCode
from darkroom.formula.command import formula_text
from darkroom.simulate.comparison import TraceComparison, World, compare, totals
from darkroom.simulate.formulas import OURS, NamedFormula, ours, published
from darkroom.simulate.model import Machines, Prices, Work
from darkroom.simulate.report import (
    COLUMNS,
    TOTAL_COLUMNS,
    leaders,
    markdown,
    page,
    plane_of,
    rows,
    timeline_of,
    total_rows,
)
from darkroom.simulate.trace_file import read_trace, write_trace
from darkroom.simulate.traces import SHIPPED, Trace, month
from localcloud.batch.autoscale import FormulaError, compile_formula
from shared.app_settings import PipelineSettings, PoolSettings
from shared.settings import read

app = typer.Typer()
TRACES: dict[str, Callable[[int], Trace]] = {**SHIPPED, "month": month}


@app.command()
def simulate(
    *,
    trace: Annotated[
        list[str] | None, typer.Option(metavar="NAME|FILE", help=f"One of {', '.join(TRACES)}, or a recorded one.")
    ] = None,
    formula: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help=f"{OURS}, a published one (--list), or a file; several may be given."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All shipped traces, all formulas.")] = False,
    seed: Annotated[list[int] | None, typer.Option(help="Figures are averaged over seeds.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page with tables and pictures.")] = None,
    docs: Annotated[Path | None, typer.Option(help="Write tables (Markdown) and pictures (SVG) to a folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List traces and formulas.")] = False,
    cap: Annotated[int, typer.Option(help="The quota in nodes of each kind (0: POOL_MAX_NODES).", min=0)] = 0,
    image_seconds: Annotated[float, typer.Option(help="Core-seconds an image.", min=0.001)] = Work().image_seconds,
    cores: Annotated[int, typer.Option(help="Cores a node.", min=1)] = Work().cores,
    preemptions: Annotated[
        float, typer.Option(help="Preemptions a Spot node and hour.", min=0)
    ] = Machines().preemptions_per_hour,
    spot_price: Annotated[float, typer.Option(help="Money a Spot node and hour.", min=0)] = Prices().spot,
    dedicated_price: Annotated[
        float, typer.Option(help="Money a dedicated node and hour.", min=0)
    ] = Prices().dedicated,
    record: Annotated[Path | None, typer.Option(help="Write a running system's arrivals as a trace.")] = None,
    days: Annotated[float, typer.Option(help="How far back --record goes.", min=0.01)] = 7.0,
    profile: Annotated[str, typer.Option(metavar="WHERE", help="The running system for --record.")] = "",
) -> None:
    """Compare autoscale formulas on workloads: waits, cost, idle nodes, work done twice."""
    if listed:
        _list()
        return
    if record is not None:
        _record(record, days, profile)
        return
    pool = read(PoolSettings, os.environ)
    pool = replace(pool, max_nodes=cap) if cap else pool
    pipeline = read(PipelineSettings, os.environ)
    world = World(
        work=Work(
            image_seconds=image_seconds,
            cores=cores,
            slots=pool.slots_per_node,
            max_images=pipeline.manifest_max_images,
            max_age=pipeline.manifest_max_age,
        ),
        machines=Machines(cap=pool.max_nodes, preemptions_per_hour=preemptions),
        prices=Prices(spot=spot_price, dedicated=dedicated_price),
        interval=pool.evaluation_interval * 60.0,
    )
    comparisons = _compare(
        traces=trace, formulas=formula, everything=everything, seeds=seed or [1], pool=pool, world=world
    )
    if as_json:
        typer.echo(json.dumps(_document(comparisons, seed or [1]), indent=2))
    else:
        _print(comparisons)
    if html is not None:
        html.write_text(page(comparisons, world), "utf-8")
    if docs is not None:
        _write_docs(docs, comparisons, world, seed or [1])


def _compare(
    *,
    traces: list[str] | None,
    formulas: list[str] | None,
    everything: bool,
    seeds: Sequence[int],
    pool: PoolSettings,
    world: World,
) -> list[TraceComparison]:
    makers = list(SHIPPED.values()) if everything and not traces else [_trace(name) for name in traces or ["office"]]
    known = {named.name: named for named in [ours(pool), *published()]}
    chosen = list(known.values()) if everything and not formulas else []
    chosen += [_formula(name, known) for name in formulas or ([] if everything else [OURS])]
    return [compare(maker, chosen, seeds=seeds, world=world) for maker in makers]


def _trace(name: str) -> Callable[[int], Trace]:
    if name in TRACES:
        return TRACES[name]
    if not Path(name).is_file():
        raise CommandError(f"{name}: no trace and no file", code=ExitCode.NOT_FOUND, hint="darkroom simulate --list")
    recorded = read_trace(Path(name))
    return lambda _: recorded


def _formula(name: str, known: dict[str, NamedFormula]) -> NamedFormula:
    if name in known:
        return known[name]
    text = formula_text(name)
    try:
        compile_formula(text)
    except FormulaError as error:
        raise CommandError(f"{name}: {error}") from error
    return NamedFormula(name=Path(name).stem, source=name, text=text)


def _list() -> None:
    for name, make in SHIPPED.items():
        typer.echo(f"{name:20s} {make(1).about}")
    typer.echo(f"{'month':20s} A million images in a month\n")
    for named in [ours(PoolSettings()), *published()]:
        typer.echo(f"{named.name:20s} {named.source}")


def _record(path: Path, days: float, profile: str) -> None:
    from darkroom.connection import connect  # noqa: PLC0415 (Azure's SDK is slow to load)
    from darkroom.profile import current_profile  # noqa: PLC0415 (as above)
    from darkroom.simulate.recorder import arrivals_of, trace_of  # noqa: PLC0415 (as above)

    async def moments() -> list[datetime]:
        async with connect(current_profile(profile)) as connection:
            return await arrivals_of(connection, since=datetime.now(UTC) - timedelta(days=days))

    found = asyncio.run(moments())
    if not found:
        raise CommandError(f"No image arrived in the last {days:g} days: there is nothing to record.")
    recorded = trace_of(found, name=path.stem)
    write_trace(path, recorded)
    typer.echo(f"{len(recorded.arrivals)} arrivals written to {path}; replay with: darkroom simulate --trace {path}")


def _print(comparisons: Sequence[TraceComparison]) -> None:
    for comparison in comparisons:
        least = comparison.bound
        typer.echo(
            f"\n{comparison.trace.name}: {comparison.trace.about} (bound: p95 {least.p95:.0f} s, cost {least.cost:.4f})"
        )
        _table(COLUMNS, rows(comparison))
    if len(comparisons) > 1:
        typer.echo("\nAll traces")
        _table(TOTAL_COLUMNS, total_rows(comparisons))


def _table(columns: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[at]) for row in [columns, *table]) for at in range(len(columns))]
    for row in [columns, *table]:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


def _document(comparisons: Sequence[TraceComparison], seeds: Sequence[int]) -> dict[str, Any]:
    return {
        "seeds": list(seeds),
        "traces": [
            {
                "trace": comparison.trace.name,
                "bound": asdict(comparison.bound),
                "formulas": {
                    name: {**_finite(asdict(cell.result)), "wait_ratio": _number(cell.wait_ratio)}
                    | {"cost_ratio": cell.cost_ratio, "on_front": cell.on_front}
                    for name, cell in comparison.cells.items()
                },
            }
            for comparison in comparisons
        ],
        "totals": [_finite(asdict(total)) for total in totals(comparisons)],
    }


def _number(value: Any) -> Any:
    """JSON has no infinity: null is work that was never done."""
    return None if isinstance(value, float) and math.isinf(value) else value


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _write_docs(folder: Path, comparisons: Sequence[TraceComparison], world: World, seeds: Sequence[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shown = leaders(comparisons)
    parts = [
        "# Autoscale formulas compared\n",
        f"Made by `darkroom simulate`, seeds {', '.join(map(str, seeds))}; figures are their averages.\n",
        "What the columns mean is said in [autoscale.md](../autoscale.md).\n",
        "## All traces\n",
        markdown(TOTAL_COLUMNS, total_rows(comparisons)),
    ]
    for comparison in comparisons:
        name, least = comparison.trace.name, comparison.bound
        (folder / f"{name}.svg").write_text(plane_of(comparison), "utf-8")
        (folder / f"{name}-time.svg").write_text(timeline_of(comparison, shown, world), "utf-8")
        parts += [
            f"## {name}\n",
            f"{comparison.trace.about}. Bound: p95 {least.p95:,.0f} s, cost {least.cost:.4f}.\n",
            f"![cost against wait]({name}.svg)\n\n![over time]({name}-time.svg)\n",
            markdown(COLUMNS, rows(comparison)),
        ]
    (folder / "results.md").write_text("\n".join(parts), "utf-8")
