"""A month of a million images: `python -m benchmarks.simulate`. It must take less than a minute."""

from __future__ import annotations

import time

from darkroom.simulate.comparison import World, figures, simulate
from darkroom.simulate.formulas import ours
from darkroom.simulate.traces import month
from shared.app_settings import PoolSettings

LIMIT_SECONDS = 60.0


def main() -> None:
    """Prints how long it took, and what it cost in the simulation. Exits with 1 above the limit."""
    formula, world = ours(PoolSettings(max_nodes=20)), World()
    began = time.perf_counter()
    trace = month(1)
    made = time.perf_counter()
    raw = simulate(trace, formula, seed=1, world=world)
    result = figures(raw, trace, formula, seed=1, world=world)
    ended = time.perf_counter()
    print(f"images {result.images:,}  samples {len(raw.samples):,}  nodes {len(raw.nodes):,}")
    print(f"trace made in {made - began:.1f} s, simulated in {ended - made:.1f} s, together {ended - began:.1f} s")
    print(f"p95 {result.p95:.0f} s, {result.node_hours:.0f} node-hours, {result.cost_per_1000:.4f} per 1,000 images")
    if ended - began > LIMIT_SECONDS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
