"""Node-hours from the journal: dispatch notes every minute how many nodes are in which state. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from darkroom.output import moment
from pipeline.journal import Line

LONGEST_GAP = 600.0
"""Seconds that a look at the nodes speaks for at most: a gap in the journal is not made up."""
_NODES = "nodes_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What nodes did over a span."""

    hours: dict[str, float]
    """Node-hours by state."""
    dedicated_hours: float
    spot_hours: float
    images: int
    """Images that became PNGs."""
    looked: int
    """Looks at the pool that this is made from."""
    unseen_hours: float
    """Time of the span without a look: what nodes did then is not in here."""

    @property
    def node_hours(self) -> float:
        """Node-hours of every state: a node is billed from its allocation to its removal, busy or not."""
        return sum(self.hours.values())

    @property
    def busy(self) -> float:
        """The share of node-hours in which a task ran."""
        return self.hours.get("running", 0.0) / self.node_hours if self.node_hours else 0.0

    def money(self, spot: float, dedicated: float) -> float:
        """What the hours cost at these prices of a node-hour."""
        return self.spot_hours * spot + self.dedicated_hours * dedicated


def spend(dispatch: Iterable[Line], collect: Iterable[Line], *, since: datetime, now: datetime) -> Spending:
    """Adds up the looks between `since` and `now`. Each holds until the next one, LONGEST_GAP at most."""
    looks = _looks(dispatch, since, now)
    seconds: dict[str, float] = {}
    dedicated = spot = seen = 0.0
    ends = [*(at for at, _ in looks[1:]), now][: len(looks)]
    for (at, line), end in zip(looks, ends, strict=True):
        held = min(LONGEST_GAP, (end - at).total_seconds())
        seen += held
        dedicated += held * line.counts.get("current_dedicated", 0.0)
        spot += held * line.counts.get("current_low_priority", 0.0)
        for name, count in line.counts.items():
            if name.startswith(_NODES) and count:
                state = name.removeprefix(_NODES)
                seconds[state] = seconds.get(state, 0.0) + held * count
    images = sum(line.counts.get("converted", 0.0) for _, line in _looks(collect, since, now))
    return Spending(
        hours={state: total / 3600 for state, total in sorted(seconds.items())},
        dedicated_hours=dedicated / 3600,
        spot_hours=spot / 3600,
        images=int(images),
        looked=len(looks),
        unseen_hours=max(0.0, ((now - since).total_seconds() - seen) / 3600),
    )


def _looks(lines: Iterable[Line], since: datetime, now: datetime) -> list[tuple[datetime, Line]]:
    """The lines of the span with their times, in order."""
    found = [(at, line) for line in lines if (at := moment(line.at)) is not None and since <= at <= now]
    return sorted(found, key=lambda pair: pair[0])
