"""`--since`: a span back from now (`90m`, `24h`, `7d`, `2w`) or a moment (`2026-11-20`, `2026-11-20T08:00`)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

SinceOption = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="A span (90m, 24h, 7d, 2w) or a moment (2026-11-20), UTC.")
]


def since(text: str, now: datetime) -> datetime:
    """The moment meant. Raises typer.BadParameter, which is a usage error, for anything else."""
    found = _SPAN.fullmatch(text.strip())
    if found:
        try:
            return now - timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})
        except OverflowError as error:
            raise typer.BadParameter(f"{text!r} is longer ago than there are dates") from error
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a span (90m, 24h, 7d) nor a moment (2026-11-20)") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
