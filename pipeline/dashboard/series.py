"""Journals as time series: what a chart shows, in a fixed number of points. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

POINTS = 120
"""Points of a series, whatever its span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One run of a stage: when, and what it counted."""

    at: float
    """Seconds since 1970."""
    counts: Mapping[str, float]


def counted(at: str, counts: Mapping[str, Any]) -> Counted | None:
    """A journal line's figures; None where it has no time."""
    try:
        moment = datetime.fromisoformat(at).timestamp()
    except ValueError:
        return None
    figures = {
        name: float(value)
        for name, value in counts.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return Counted(at=moment, counts=figures)


def series(
    dispatch: Iterable[Counted], collect: Iterable[Counted], *, now: float, minutes: int
) -> dict[str, list[float | None]]:
    """`t` (seconds since 1970), `converted` (a minute), `waiting` (images not done), `nodes`, `pending` (tasks).

    A point without a run of the stage has None: nothing is made up in between.
    """
    step = minutes * 60 / POINTS
    start = (now // step + 1 - POINTS) * step
    made: list[float | None] = [None] * POINTS
    waiting: list[float | None] = [None] * POINTS
    nodes: list[float | None] = [None] * POINTS
    pending: list[float | None] = [None] * POINTS
    for line in collect:
        place = int((line.at - start) // step)
        if 0 <= place < POINTS:
            made[place] = (made[place] or 0.0) + line.counts.get("converted", 0.0) * 60 / step
    for line in dispatch:
        place = int((line.at - start) // step)
        if 0 <= place < POINTS:
            counts = line.counts
            waiting[place] = counts.get("waiting", 0.0) + counts.get("open_images", 0.0)
            nodes[place] = sum(value for name, value in counts.items() if name.startswith("nodes_"))
            pending[place] = counts.get("tasks_active", 0.0) + counts.get("tasks_running", 0.0)
    return {
        "t": [round(start + step * (place + 1)) for place in range(POINTS)],
        "converted": [None if value is None else round(value, 1) for value in made],
        "waiting": waiting,
        "nodes": nodes,
        "pending": pending,
    }


def rate(lines: Iterable[Counted], name: str, *, now: float, minutes: float) -> float:
    """What was counted in the last minutes, a minute."""
    total = sum(line.counts.get(name, 0.0) for line in lines if line.at > now - minutes * 60)
    return round(total / minutes, 1)
