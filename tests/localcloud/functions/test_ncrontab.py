"""NCRONTAB: what each field means, and when the next occurrence is."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.functions.ncrontab import Crontab, Interval, ScheduleError, parse_schedule

START = datetime(2026, 2, 27, 12, 34, 56, 789_000, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", "2026-02-27 12:34:57"),
        ("0 * * * * *", "2026-02-27 12:35:00"),
        ("0 */5 * * * *", "2026-02-27 12:35:00"),
        ("*/5 * * * *", "2026-02-27 12:35:00"),  # five fields: no seconds
        ("0 0 * * * *", "2026-02-27 13:00:00"),
        ("30 30 9 * * *", "2026-02-28 09:30:30"),
        ("0 0 0 1 * *", "2026-03-01 00:00:00"),
        ("0 0 12 29 2 *", "2028-02-29 12:00:00"),
        ("0 0 0 31 * *", "2026-03-31 00:00:00"),
        ("0 0 0 * * 0", "2026-03-01 00:00:00"),  # Sunday
        ("0 0 0 * * SUN", "2026-03-01 00:00:00"),
        ("0 0 0 * * mon-fri", "2026-03-02 00:00:00"),
        ("0 0 0 * * 6", "2026-02-28 00:00:00"),  # Saturday
        ("0 0 0 * January *", "2027-01-01 00:00:00"),
        ("0 0 0 * jan,MAR *", "2026-03-01 00:00:00"),
        ("0 50/4 * * * *", "2026-02-27 12:50:00"),  # from 50 to the hour's end
        ("0 10-20/5 * * * *", "2026-02-27 13:10:00"),
        ("0 20-10 * * * *", "2026-02-27 13:10:00"),  # a range that is written backwards is turned round
        ("15,45 34 12 * * *", "2026-02-28 12:34:15"),
    ],
)
def test_the_next_occurrence_is_the_first_that_fits_every_field(expression: str, expected: str) -> None:
    assert parse_schedule(expression).after(START) == datetime.fromisoformat(expected + "+00:00")


def test_day_and_weekday_must_both_match() -> None:
    """Friday the 13th, not every Friday and every 13th as in other crons."""
    schedule = parse_schedule("0 0 0 13 * 5")
    first = schedule.after(START)
    assert first == datetime(2026, 3, 13, tzinfo=UTC)
    assert schedule.after(first) == datetime(2026, 11, 13, tzinfo=UTC)


def test_the_rarest_day_is_found() -> None:
    """A 29 February on a Sunday, across 2100, which is no leap year."""
    after = datetime(2096, 3, 1, tzinfo=UTC)
    assert parse_schedule("0 0 0 29 2 0").after(after) == datetime(2128, 2, 29, tzinfo=UTC)


def test_a_day_that_never_comes_has_no_occurrence() -> None:
    assert parse_schedule("0 0 0 31 2 *").after(START) is None


def test_an_occurrence_at_the_very_moment_is_not_after_it() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_schedule("0 0 0 1 1 *").after(at) == datetime(2027, 1, 1, tzinfo=UTC)


def test_other_time_zones_are_turned_into_utc() -> None:
    there = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert parse_schedule("0 0 23 * * *").after(there) == datetime(2025, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("", "0 fields"),
        ("60 * * * * *", "second 60 is not from 0 to 59"),
        ("0 0 24 * * *", "hour 24"),
        ("0 0 0 0 * *", "day 0"),
        ("0 0 0 * 13 *", "month 13"),
        ("0 0 0 * * 7", "weekday 7"),
        ("0 0 0 L * *", "'L' is no day"),
        ("0 0 0 15W * *", "'15W' is no day"),
        ("0 0 0 ? * *", "is no day"),
        ("0 0 0 * * 5#2", "is no weekday"),
        ("0 */0 * * * *", "above 0"),
        ("0 */x * * * *", "above 0"),
        ("0 1- * * * *", "is no minute"),
        ("0 1,, * * * *", "is no minute"),
        ("0 ٣ * * * *", "is no minute"),  # a digit to Python, not to NCRONTAB
        ("@daily", "1 fields"),
        ("00:00:00", "no time"),
    ],
)
def test_what_is_no_ncrontab_is_refused_by_name(expression: str, complaint: str) -> None:
    with pytest.raises(ScheduleError, match=complaint):
        parse_schedule(expression)


def test_a_time_span_is_an_interval() -> None:
    assert parse_schedule("00:05:00") == Interval(every=timedelta(minutes=5))
    assert parse_schedule("00:05:00").after(START) == START + timedelta(minutes=5)


_numbers = {"seconds": (0, 59), "minutes": (0, 59), "hours": (0, 23), "days": (1, 31), "months": (1, 12)}


@st.composite
def _crontabs(draw: st.DrawFn) -> str:
    fields = [
        draw(
            st.one_of(
                st.just("*"),
                st.integers(least, most).map(str),
                st.integers(1, 20).map("*/{}".format),
                st.lists(st.integers(least, most), min_size=1, max_size=3).map(lambda v: ",".join(map(str, v))),
            )
        )
        for least, most in _numbers.values()
    ]
    return " ".join([*fields, draw(st.sampled_from(["*", "*", "1-5", "0", "sat"]))])


def _fits(schedule: Crontab, at: datetime) -> bool:
    return (
        at.second in schedule.seconds
        and at.minute in schedule.minutes
        and at.hour in schedule.hours
        and at.day in schedule.days
        and at.month in schedule.months
        and at.isoweekday() % 7 in schedule.weekdays
    )


@given(_crontabs(), st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001 - made aware below
def test_occurrences_fit_and_none_is_passed_over(expression: str, naive: datetime) -> None:
    """Every occurrence fits all fields, comes later than the one before, and none of the next two minutes is missed."""
    schedule = parse_schedule(expression)
    assert isinstance(schedule, Crontab)
    start = naive.replace(tzinfo=UTC)
    found = [start]
    for _ in range(3):
        following = schedule.after(found[-1])
        if following is None:
            return
        assert _fits(schedule, following)
        found.append(following)
    assert all(a < b for a, b in pairwise(found))
    whole = start.replace(microsecond=0)
    for second in range(1, 121):
        at = whole + timedelta(seconds=second)
        if _fits(schedule, at):
            assert found[1] == at
            break
    else:
        assert found[1] > whole + timedelta(seconds=120)
