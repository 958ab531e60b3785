"""The values of the language: double, doubleVec, string, timestamp, timeinterval, and how Batch writes
them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

TICKS_PER_SECOND: Final = 10_000_000  # one tick is 100 ns, as in .NET
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_TICKS: Final = int((datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()) * TICKS_PER_SECOND
_MAX_TICKS: Final = int((datetime.max.replace(tzinfo=UTC) - _EPOCH).total_seconds()) * TICKS_PER_SECOND
_MAX_INTERVAL: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A timeinterval, in ticks of 100 ns. May be negative."""

    ticks: int

    def __post_init__(self) -> None:
        if abs(self.ticks) > _MAX_INTERVAL:
            raise OverflowError("the time interval is out of range")

    @property
    def seconds(self) -> float:
        return self.ticks / TICKS_PER_SECOND


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time (UTC), in ticks of 100 ns since 1970; the years 1 to 9999."""

    ticks: int

    def __post_init__(self) -> None:
        if not _MIN_TICKS <= self.ticks <= _MAX_TICKS:
            raise OverflowError("the time is outside the years 1 to 9999")

    @classmethod
    def of(cls, moment: datetime) -> "Timestamp":
        """Raises ValueError for a datetime without a time zone."""
        if moment.tzinfo is None:
            raise ValueError("a timestamp needs a datetime with a time zone")
        return cls((moment - _EPOCH) // timedelta(microseconds=1) * 10)

    @property
    def seconds(self) -> float:
        """Seconds since 1970."""
        return self.ticks / TICKS_PER_SECOND

    def as_datetime(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.ticks // 10)


type_names: Final[dict[type, str]] = {
    float: "double",
    tuple: "doubleVec",
    str: "string",
    Timestamp: "timestamp",
    Interval: "timeinterval",
}

Vec = tuple[float, ...]
Value = float | Vec | str | Timestamp | Interval


def type_name(value: Value) -> str:
    """The language's name for the type of a value."""
    return type_names[type(value)]


def timestamp_field(moment: Timestamp, field: str) -> float | None:
    """A member of a timestamp as a double, or None where it has no such member. Monday is weekday 1, Sunday
    0."""
    at = moment.as_datetime()
    match field:
        case "year" | "month" | "day" | "hour" | "minute" | "second":
            return float(getattr(at, field))
        case "weekday":
            return float(at.isoweekday() % 7)
    return None


_W3C = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)


def parse_time(text: str) -> Timestamp:
    """Read W3C-DTF (`2026-11-21T01:00:00Z`, date alone allowed) or RFC 1123 (`Sat, 21 Nov 2026 01:00:00
    GMT`).

    Raises ValueError for anything else, OverflowError where the time is out of range.
    """
    text = text.strip()
    match = _W3C.fullmatch(text)
    if match is None:
        return _parse_rfc1123(text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    whole = datetime(
        int(year),
        int(month or 1),
        int(day or 1),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        tzinfo=UTC,
    )
    ticks = Timestamp.of(whole).ticks + int(f"{fraction or 0:0<7}"[:7])
    if zone and zone != "Z":
        offset = (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * TICKS_PER_SECOND
        ticks += -offset if zone[0] == "+" else offset
    return Timestamp(ticks)


def _parse_rfc1123(text: str) -> Timestamp:
    try:
        moment = parsedate_to_datetime(text)
    except (IndexError, TypeError) as error:
        raise ValueError(f"not a time: {text!r}") from error
    return Timestamp.of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def render(value: Value) -> str:
    """A value as Batch writes it in the results string: `10`, `0.5`, `2016-10-13T19:18:47.805Z`,
    `00:05:00`."""
    match value:
        case float():
            return _render_double(value)
        case str():
            return value
        case Timestamp():
            at = value.as_datetime()
            return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
        case Interval():
            return _render_interval(value)
    return "[" + ",".join(_render_double(item) for item in value) + "]"


def _render_double(value: float) -> str:
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(value), repr(value))


def _render_interval(value: Interval) -> str:
    seconds, ticks = divmod(abs(value.ticks), TICKS_PER_SECOND)
    days, seconds = divmod(seconds, 86_400)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    sign = "-" if value.ticks < 0 else ""
    return sign + (f"{days}." if days else "") + text + (f".{ticks:07d}" if ticks else "")
