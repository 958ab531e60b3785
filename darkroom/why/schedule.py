"""When a timer is due next, by its schedule: NCRONTAB, or a time span, as the Functions host reads them.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Of second, minute, hour, day, month, weekday (0 is Sunday)."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SPAN = re.compile(r"(?:(\d+)\.)?(\d\d?):(\d\d):(\d\d)")
_HORIZON = 4 * 366 + 1
"""Days that are looked through: a 29th of February comes within them."""


def next_due(schedule: str, after: datetime) -> datetime | None:
    """The first moment after `after` (UTC) at which the schedule fires; None where it never does, or is none."""
    text = schedule.strip()
    span = _SPAN.fullmatch(text)
    if span:
        days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
        return after + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    fields = _fields(text)
    return None if fields is None else _search(fields, after.astimezone(UTC))


def _fields(text: str) -> tuple[tuple[int, ...], ...] | None:
    parts = text.lower().split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        return None
    try:
        return tuple(_field(part, at) for at, part in enumerate(parts))
    except ValueError:
        return None


def _field(part: str, at: int) -> tuple[int, ...]:
    low, high = _BOUNDS[at]
    found: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, at)
            last = _number(end, at) if dash else (high if step else first)
        if not low <= first <= last <= high or (step and int(step) < 1):
            raise ValueError(item)
        found.update(range(first, last + 1, int(step) if step else 1))
    return tuple(sorted(found))


def _number(word: str, at: int) -> int:
    if at == 4 and word[:3] in _MONTHS:
        return _MONTHS.index(word[:3]) + 1
    if at == 5 and word[:3] in _WEEKDAYS:
        return _WEEKDAYS.index(word[:3])
    return int(word)


def _search(fields: tuple[tuple[int, ...], ...], after: datetime) -> datetime | None:
    seconds, minutes, hours, days, months, weekdays = fields
    start = after.replace(microsecond=0) + timedelta(seconds=1)
    for distance in range(_HORIZON):
        day: date = start.date() + timedelta(days=distance)
        # Day and weekday must both fit, unlike in Unix' cron.
        if day.month not in months or day.day not in days or day.isoweekday() % 7 not in weekdays:
            continue
        earliest = start.time() if distance == 0 else time()
        for hour in hours:
            for minute in minutes:
                if (hour, minute) < (earliest.hour, earliest.minute):
                    continue
                for second in seconds:
                    moment = time(hour, minute, second)
                    if moment >= earliest:
                        return datetime.combine(day, moment, UTC)
    return None
