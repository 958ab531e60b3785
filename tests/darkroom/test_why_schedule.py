"""When a timer is due next, as the Functions host reads its schedule."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from darkroom.why.schedule import next_due

NOW = datetime(2026, 11, 27, 12, 30, 30, 500, UTC)  # a Friday


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * * *", "2026-11-27T12:30:31"),
        ("0 * * * * *", "2026-11-27T12:31:00"),
        ("* * * * *", "2026-11-27T12:31:00"),
        ("30 * * * * *", "2026-11-27T12:31:30"),
        ("0 17 * * * *", "2026-11-27T13:17:00"),
        ("0 */5 * * * *", "2026-11-27T12:35:00"),
        ("0 3/20 * * * *", "2026-11-27T12:43:00"),
        ("0 0 */6 * * *", "2026-11-27T18:00:00"),
        ("0 30 9 * * Mon-Fri", "2026-11-30T09:30:00"),
        ("0 30 9 * * 0,6", "2026-11-28T09:30:00"),
        ("0 0 0 1 JAN *", "2027-01-01T00:00:00"),
        ("0 0 0 13 * 5", "2027-08-13T00:00:00"),  # day and weekday must both fit
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("00:05:00", "2026-11-27T12:35:30"),
        ("1.00:00:00", "2026-11-28T12:30:30"),
    ],
)
def test_the_next_time_of_a_schedule(schedule: str, due: str) -> None:
    found = next_due(schedule, NOW)
    assert found is not None
    assert found.isoformat()[:19] == due


@pytest.mark.parametrize(
    "schedule", ["", "often", "* * *", "60 * * * * *", "0 0 0 31 2 *", "*/0 * * * * *", "5-1 * * * *"]
)
def test_what_is_no_schedule_or_never_comes_is_never_due(schedule: str) -> None:
    assert next_due(schedule, NOW) is None
