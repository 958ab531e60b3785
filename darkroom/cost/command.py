"""`darkroom cost`: node-hours and money per 1,000 images, from what nodes really did."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from darkroom.cost.spending import Spending, spend
from darkroom.output import JsonOption, Output, ProfileOption, duration
from darkroom.profile import Profile, current_profile
from darkroom.since import SinceOption, since

app = typer.Typer()
_WHOLE_DAY = 4_000_000  # bytes: a line a minute with every state is well below


@app.command()
def cost(
    *,
    when: SinceOption = "7d",
    price: Annotated[float, typer.Option(min=0, help="Money for an hour of a Spot node (Azure's price list).")] = 0.0,
    dedicated_price: Annotated[float, typer.Option(min=0, help="Money for an hour of a dedicated node.")] = 0.0,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Node-hours by state, and per 1,000 images; with --price in money. Prices vary, so none is assumed."""
    out = Output(as_json=as_json)
    now = datetime.now(UTC)
    start = since(when, now)
    found = asyncio.run(_read(current_profile(profile), start, now))
    priced = bool(price or dedicated_price)
    money = found.money(price, dedicated_price)
    per_thousand = found.node_hours / found.images * 1000 if found.images else None
    if as_json:
        out.document(
            {
                "since": start.isoformat(),
                "node_hours": round(found.node_hours, 4),
                "node_hours_by_state": {state: round(hours, 4) for state, hours in found.hours.items()},
                "spot_hours": round(found.spot_hours, 4),
                "dedicated_hours": round(found.dedicated_hours, 4),
                "busy": round(found.busy, 3),
                "images": found.images,
                "node_hours_per_1000": None if per_thousand is None else round(per_thousand, 4),
                "money": round(money, 4) if priced else None,
                "money_per_1000": round(money / found.images * 1000, 4) if priced and found.images else None,
                "looked": found.looked,
                "unseen_hours": round(found.unseen_hours, 3),
            }
        )
        return
    _tell(out, found, money, priced=priced)


async def _read(place: Profile, start: datetime, now: datetime) -> Spending:
    from pipeline.clients import open_app  # noqa: PLC0415 (Azure's SDKs are slow to load)

    async with open_app(place.values) as darkroom:
        # Journals live as long as archives do: beyond that there is nothing to read.
        first = max(start, now - timedelta(days=darkroom.settings.pipeline.retention_days + 1))
        days = [first + timedelta(days=number) for number in range((now.date() - first.date()).days + 1)]
        dispatch, collect = [], []
        for day in days:
            dispatch += await darkroom.journal.lines("dispatch", day, last=_WHOLE_DAY)
            collect += await darkroom.journal.lines("collect", day, last=_WHOLE_DAY)
    begun = min((line.at for line in (*dispatch, *collect)), default="")
    known_since = datetime.fromisoformat(begun) if begun else start
    return spend(dispatch, collect, since=max(start, known_since), now=now)


def _tell(out: Output, found: Spending, money: float, *, priced: bool) -> None:
    rows = [(state, f"{hours:.3f}") for state, hours in found.hours.items()]
    rows.append(("all", f"{found.node_hours:.3f}"))
    out.table("", ["nodes", "node-hours"], rows, right=1)
    out.say(
        f"\n{found.spot_hours:.3f} h of Spot and {found.dedicated_hours:.3f} h of dedicated nodes; "
        f"a task ran in {found.busy:.0%} of all node-hours"
    )
    if not found.images:
        out.say("no image became a PNG in this time")
    else:
        each = found.node_hours / found.images * 1000
        out.say(f"{found.images:,} images became PNGs: {each:.3f} node-hours per 1,000")
    if priced and found.images:
        out.say(f"{money:.4f} in money, {money / found.images * 1000:.4f} per 1,000 images")
    elif priced:
        out.say(f"{money:.4f} in money")
    else:
        out.say("--price puts money to it")
    if found.unseen_hours > 0.5:
        out.say(f"for {duration(found.unseen_hours * 3600)} of this time nobody looked at the pool: not in here")
