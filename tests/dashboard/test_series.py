"""Journals become series of a fixed length, and nothing is made up in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dashboard.series import POINTS, Counted, counted, rate, series

NOW = 1_800_000_000.0


def test_runs_are_counted_in_the_interval_that_they_ended_in() -> None:
    dispatch = [
        Counted(at=NOW - 30, counts={"open_images": 40, "nodes_idle": 1, "nodes_running": 2, "tasks_active": 5})
    ]
    collect = [Counted(at=NOW - 30, counts={"converted": 10}), Counted(at=NOW - 25, counts={"converted": 5})]
    told = series(dispatch, collect, now=NOW, minutes=60)
    assert [value for value in told["nodes"] if value is not None] == [3]
    assert [value for value in told["waiting"] if value is not None] == [40]
    assert sum(value or 0 for value in told["converted"]) * (60 / POINTS) == pytest.approx(15)


def test_what_is_out_of_the_span_is_left_out() -> None:
    told = series([Counted(at=NOW - 7200, counts={"open_images": 1})], [], now=NOW, minutes=60)
    assert set(told["waiting"]) == {None}


@given(
    minutes=st.sampled_from([15, 60, 360, 1440]),
    ages=st.lists(st.floats(min_value=-100, max_value=200_000, allow_nan=False), max_size=50),
)
def test_every_series_has_the_same_length_and_rising_times(minutes: int, ages: list[float]) -> None:
    lines = [Counted(at=NOW - age, counts={"converted": 1, "open_images": 2}) for age in ages]
    told = series(lines, lines, now=NOW, minutes=minutes)
    assert {len(values) for values in told.values()} == {POINTS}
    times = [time for time in told["t"] if time is not None]
    assert times == sorted(set(times))
    assert times[-1] > NOW - minutes * 60


def test_a_line_without_a_time_or_with_words_for_figures_does_no_harm() -> None:
    assert counted("yesterday", {"converted": 1}) is None
    line = counted("2026-11-21T10:00:00+00:00", {"converted": "many", "rejected": True, "images": 3})
    assert line is not None
    assert dict(line.counts) == {"images": 3.0}


def test_a_rate_counts_only_the_last_minutes() -> None:
    lines = [Counted(at=NOW - 30, counts={"converted": 50}), Counted(at=NOW - 900, counts={"converted": 1000})]
    assert rate(lines, "converted", now=NOW, minutes=5) == 10
