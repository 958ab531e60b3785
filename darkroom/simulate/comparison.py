"""Formulas against each other and against the clairvoyant, over traces and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from darkroom.simulate.bound import Bound, bound
from darkroom.simulate.formulas import NamedFormula
from darkroom.simulate.model import Machines, Prices, Work
from darkroom.simulate.result import Result, summarise
from darkroom.simulate.run import Raw, run
from darkroom.simulate.traces import Trace

SAME = 1e-9
"""Two figures that differ by less are the same: sums of floats in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that is not the formula."""

    work: Work = Work()  # noqa: RUF009 - frozen
    machines: Machines = Machines()  # noqa: RUF009 - frozen
    prices: Prices = Prices()  # noqa: RUF009 - frozen
    interval: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One formula on one trace: figures averaged over the seeds, and each relative to the bound."""

    result: Result
    wait_ratio: float
    cost_ratio: float
    on_front: bool = False
    """It does its work, and no other formula is at least as good in both figures and better in one."""

    @property
    def score(self) -> float:
        return self.wait_ratio + self.cost_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceComparison:
    """All formulas on one trace; `raws` are the runs of the first seed, for charts."""

    trace: Trace
    bound: Bound
    cells: dict[str, Cell]
    raws: dict[str, Raw]


def compare(
    make_trace: Callable[[int], Trace], formulas: Sequence[NamedFormula], *, seeds: Sequence[int], world: World
) -> TraceComparison:
    """Run every formula on the trace of every seed. The same arguments give the same figures."""
    traces = [make_trace(seed) for seed in seeds]
    bounds = [
        bound(trace, seed=seed, work=world.work, machines=world.machines, prices=world.prices)
        for trace, seed in zip(traces, seeds, strict=True)
    ]
    cells: dict[str, Cell] = {}
    raws: dict[str, Raw] = {}
    for formula in formulas:
        results = []
        for trace, seed in zip(traces, seeds, strict=True):
            raw = simulate(trace, formula, seed=seed, world=world)
            raws.setdefault(formula.name, raw)
            results.append(figures(raw, trace, formula, seed=seed, world=world))
        cells[formula.name] = _cell(results, bounds)
    mean = Bound(p95=_mean([b.p95 for b in bounds]), cost=_mean([b.cost for b in bounds]))
    return TraceComparison(trace=traces[0], bound=mean, cells=_with_front(cells), raws=raws)


def simulate(trace: Trace, formula: NamedFormula, *, seed: int, world: World) -> Raw:
    """One run."""
    return run(trace, formula.text, seed=seed, work=world.work, machines=world.machines, interval=world.interval)


def figures(raw: Raw, trace: Trace, formula: NamedFormula, *, seed: int, world: World) -> Result:
    """The figures of one run."""
    return summarise(
        raw,
        trace=trace.name,
        formula=formula.name,
        seed=seed,
        last_arrival=trace.arrivals[-1],
        prices=world.prices,
        slots=world.work.slots,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _cell(results: Sequence[Result], bounds: Sequence[Bound]) -> Cell:
    pairs = list(zip(results, bounds, strict=True))
    return Cell(
        result=_mean_result(results),
        wait_ratio=_mean([result.p95 / least.p95 for result, least in pairs]),
        cost_ratio=_mean([result.cost / least.cost for result, least in pairs]),
    )


def _mean_result(results: Sequence[Result]) -> Result:
    averaged: dict[str, Any] = {}
    for entry in fields(Result):
        values = [getattr(result, entry.name) for result in results]
        if isinstance(values[0], float):
            averaged[entry.name] = _mean(values)
        elif isinstance(values[0], int) and entry.name != "seed":
            averaged[entry.name] = round(_mean(values))
    return replace(results[0], **averaged)


def _with_front(cells: dict[str, Cell]) -> dict[str, Cell]:
    return {
        name: replace(
            cell, on_front=math.isfinite(cell.score) and not any(_beats(other, cell) for other in cells.values())
        )
        for name, cell in cells.items()
    }


def _beats(one: Cell, other: Cell) -> bool:
    """Whether `one` is at least as good in both figures and better in one. What never finishes beats nothing."""
    if math.isinf(one.wait_ratio):
        return False
    no_worse = one.wait_ratio <= other.wait_ratio + SAME and one.cost_ratio <= other.cost_ratio + SAME
    return no_worse and (one.wait_ratio < other.wait_ratio - SAME or one.cost_ratio < other.cost_ratio - SAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A formula over all traces: the sums of its ratios, and on how many traces it is on the front."""

    formula: str
    wait: float
    cost: float
    fronts: int

    @property
    def score(self) -> float:
        return self.wait + self.cost


def totals(comparisons: Sequence[TraceComparison]) -> list[Total]:
    """The formulas in order of the sum over traces of both ratios, best first."""
    names = list(comparisons[0].cells)
    sums = [
        Total(
            formula=name,
            wait=sum(comparison.cells[name].wait_ratio for comparison in comparisons),
            cost=sum(comparison.cells[name].cost_ratio for comparison in comparisons),
            fronts=sum(comparison.cells[name].on_front for comparison in comparisons),
        )
        for name in names
    ]
    return sorted(sums, key=lambda total: total.score)
