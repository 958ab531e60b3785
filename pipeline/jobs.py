"""Jobs: one a UTC day and pool. Their names, and when they are ended and forgotten."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pipeline.batch import Batch, JobView

MOST_A_DAY = 9
"""Jobs of one day: the second and later ones only where a person ended an earlier one."""
_DATE = 8  # characters of yyyymmdd

_log = logging.getLogger("darkroom.dispatch")


def job_names(pool_id: str, manifest_id: str, today: datetime) -> Iterator[str]:
    """Where a manifest's task belongs, best first.

    The job of the manifest's own day comes first, so that a dispatch after a crash at midnight finds the task that it
    had added already; then today's; then others of today, where a person has ended those.
    """
    own, now = manifest_id[:_DATE], f"{today:%Y%m%d}"
    if own.isdigit() and own != now:
        yield f"{pool_id}-{own}"
    yield f"{pool_id}-{now}"
    for number in range(2, MOST_A_DAY + 1):
        yield f"{pool_id}-{now}-{number}"


def job_day(pool_id: str, job: str) -> str:
    """The day of a job, `yyyymmdd`; empty where the job is none of ours."""
    rest = job.lower().removeprefix(f"{pool_id.lower()}-")
    day = rest[:_DATE]
    return day if len(day) == _DATE and day.isdigit() and rest[_DATE : _DATE + 1] in ("", "-") else ""


def to_end(
    jobs: Sequence[JobView], *, pool_id: str, open_jobs: set[str], open_days: set[str], now: datetime
) -> list[str]:
    """Jobs whose day is over and whose work is done: no open manifest names them or is of their day."""
    today = f"{now.astimezone(UTC):%Y%m%d}"
    done = []
    for job in jobs:
        day = job_day(pool_id, job.id)
        if day and day < today and not job.ended and job.id not in open_jobs and day not in open_days:
            done.append(job.id)
    return done


def to_delete(jobs: Sequence[JobView], *, pool_id: str, retention: timedelta, now: datetime) -> list[str]:
    """Ended jobs that are older than the retention."""
    oldest = f"{now.astimezone(UTC) - retention:%Y%m%d}"
    return [job.id for job in jobs if job.state == "completed" and "" < job_day(pool_id, job.id) < oldest]


async def tidy(
    batch: Batch, *, pool_id: str, open_jobs: set[str], open_days: set[str], retention: timedelta, now: datetime
) -> tuple[int, int]:
    """Ends and deletes what is due; how many of each."""
    jobs = await batch.jobs()
    ended = to_end(jobs, pool_id=pool_id, open_jobs=open_jobs, open_days=open_days, now=now)
    for job in ended:
        _log.info("event=job_ended job=%s", job)
        await batch.end_job(job)
    deleted = to_delete(jobs, pool_id=pool_id, retention=retention, now=now)
    for job in deleted:
        _log.info("event=job_deleted job=%s", job)
        await batch.delete_job(job)
    return len(ended), len(deleted)
