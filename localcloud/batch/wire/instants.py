"""Times and durations as Batch writes them: seconds on the inside, ISO 8601 and RFC 1123 on the wire."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from localcloud.batch.core.specs import FOREVER

UNLIMITED: Final = "P10675199DT2H48M5.4775807S"  # .NET's TimeSpan.MaxValue: how Batch says "without limit"

_DURATION = re.compile(
    r"(?P<sign>-)?P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_UNITS: Final = {
    "years": 365 * 86_400,
    "months": 30 * 86_400,
    "weeks": 7 * 86_400,
    "days": 86_400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}


def time_text(at: float) -> str:
    """`2026-11-21T01:00:00.123456Z`"""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def http_date(at: float) -> str:
    """`Sat, 21 Nov 2026 01:00:00 GMT`"""
    return format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)


def parse_time(text: str) -> float:
    """Read an ISO 8601 time; without a zone it is UTC. Raises ValueError."""
    match = re.fullmatch(r"(.*?\.\d{6})\d*(.*)", text)  # Batch writes 7 digits, Python reads 6
    moment = datetime.fromisoformat("".join(match.groups()) if match else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def parse_http_date(text: str) -> float:
    """Read an RFC 1123 date. Raises ValueError."""
    return parsedate_to_datetime(text).timestamp()


def parse_duration(text: str) -> float:
    """Read an ISO 8601 duration as seconds; what is longer than a human life is FOREVER. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT", "-P") or text.endswith("T"):
        raise ValueError(f"{text!r} is not an ISO 8601 duration")
    parts = match.groupdict()
    sign = -1.0 if parts.pop("sign") else 1.0
    seconds = sum(float(value) * _UNITS[unit] for unit, value in parts.items() if value)
    return sign * min(seconds, FOREVER)


def duration_text(seconds: float) -> str:
    """`PT15M`, `P7D`; FOREVER as Batch's longest duration."""
    if seconds >= FOREVER:
        return UNLIMITED
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, rest = divmod(round(seconds, 6), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    text = "".join(f"{int(n)}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    if secs or (not text and not days):
        text += f"{secs:.6f}".rstrip("0").rstrip(".") + "S"
    return f"{sign}P{f'{int(days)}D' if days else ''}{f'T{text}' if text else ''}"
