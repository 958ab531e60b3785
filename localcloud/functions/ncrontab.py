"""NCRONTAB, the timers' schedule language.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
Six fields (second minute hour day month weekday), or five without the second (which is then 0). A field is
`*`, a number, a range `a-b`, a list `a,b`, each with an optional step `/n`; `a/n` runs from a to the field's
end; months and weekdays have English names; weekdays are 0 (Sunday) to 6. Unlike in other crons the day *and* the
weekday must match, and there is no `7`, `?`, `L`, `W` or `#`. Times are UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localcloud.errors import LocalCloudError

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DAYS_AHEAD = 366 * 40  # the rarest schedule that ever fires: a 29 February on one weekday, across a year 2100


class ScheduleError(LocalCloudError, ValueError):
    """The expression is no NCRONTAB; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        if text.isascii() and text.isdigit():
            number = int(text)
        else:
            folded = text.casefold()
            matches = [n for n, name in enumerate(self.names) if len(folded) >= 3 and name.startswith(folded)]
            if not matches:
                raise ScheduleError(f"{text!r} is no {self.name} ({self.least} to {self.most})")
            number = matches[0] + self.least
        if not self.least <= number <= self.most:
            raise ScheduleError(f"{self.name} {number} is not from {self.least} to {self.most}")
        return number

    def values(self, text: str) -> frozenset[int]:
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, part: str) -> range:
        span, slash, step_text = part.partition("/")
        if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text) > 0):
            raise ScheduleError(f"{part!r}: the step of a {self.name} must be a whole number above 0")
        step = int(step_text) if slash else 1
        if span == "*":
            return range(self.least, self.most + 1, step)
        first_text, dash, last_text = span.partition("-")
        first = self.value(first_text)
        if dash:
            last = self.value(last_text)
            first, last = min(first, last), max(first, last)
        else:
            last = self.most if slash else first
        return range(first, last + 1, step)


_FIELDS = (
    _Field(name="second", least=0, most=59),
    _Field(name="minute", least=0, most=59),
    _Field(name="hour", least=0, most=23),
    _Field(name="day", least=1, most=31),
    _Field(name="month", least=1, most=12, names=_MONTHS),
    _Field(name="weekday", least=0, most=6, names=_WEEKDAYS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """A parsed expression."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def after(self, moment: datetime) -> datetime | None:
        """The first occurrence strictly after `moment` (aware; answered in UTC); None when there is none."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day = start.replace(hour=0, minute=0, second=0)
        for _ in range(_DAYS_AHEAD):
            if self._has_day(day):
                found = self._first_time(day, start)
                if found is not None:
                    return found
            day += timedelta(days=1)
        return None

    def _has_day(self, day: datetime) -> bool:
        weekday = (day.weekday() + 1) % 7  # Python counts from Monday, NCRONTAB from Sunday
        return day.month in self.months and day.day in self.days and weekday in self.weekdays

    def _first_time(self, day: datetime, start: datetime) -> datetime | None:
        for hour in self.hours:
            if day.replace(hour=hour, minute=59, second=59) < start:
                continue
            for minute in self.minutes:
                if day.replace(hour=hour, minute=minute, second=59) < start:
                    continue
                for second in self.seconds:
                    time = day.replace(hour=hour, minute=minute, second=second)
                    if time >= start:
                        return time
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A TimeSpan schedule (`hh:mm:ss`): fires that long after the last time. App Service plans only, on Azure."""

    every: timedelta

    def after(self, moment: datetime) -> datetime | None:
        """One interval after `moment`."""
        return moment.astimezone(UTC) + self.every


Schedule = Crontab | Interval


def parse_schedule(expression: str) -> Schedule:
    """The schedule that `expression` says. Raises ScheduleError."""
    span = re.fullmatch(r"(\d{1,2}):([0-5]?\d):([0-5]?\d)", expression.strip())
    if span:
        hours, minutes, seconds = (int(part) for part in span.groups())
        every = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if not every:
            raise ScheduleError(f"{expression!r} is an interval of no time")
        return Interval(every=every)
    parts = expression.split()
    if len(parts) == 5:
        parts.insert(0, "0")
    if len(parts) != 6:
        raise ScheduleError(f"{expression!r} has {len(parts)} fields; NCRONTAB has 6 (or 5 without seconds)")
    seconds_, minutes_, hours_, days, months, weekdays = (
        field.values(part) for field, part in zip(_FIELDS, parts, strict=True)
    )
    return Crontab(
        seconds=tuple(sorted(seconds_)),
        minutes=tuple(sorted(minutes_)),
        hours=tuple(sorted(hours_)),
        days=days,
        months=months,
        weekdays=weekdays,
    )
