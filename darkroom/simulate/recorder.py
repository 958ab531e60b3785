"""Record a trace from a running system: when its images arrived."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from darkroom.connection import Connection
from darkroom.simulate.traces import DAY, Trace
from shared.naming import is_jpeg_name


async def arrivals_of(connection: Connection, *, since: datetime) -> list[datetime]:
    """When each image was written that is in the container now, from `since` on.

    One streamed listing. An image that was deleted, or written again later, is seen as it is now.
    """
    container = await connection.container(connection.settings.storage.images)
    found: list[datetime] = []
    async for blob in container.list_blobs():
        written = blob.last_modified
        if written is not None and written >= since and is_jpeg_name(blob.name):
            found.append(written)
    return found


def trace_of(moments: Iterable[datetime], *, name: str) -> Trace:
    """A trace of these arrivals. It begins on the Monday before the first, so that office hours stay where they are."""
    ordered = sorted(moments)
    if not ordered:
        raise ValueError("there are no arrivals to record")
    first = ordered[0].astimezone(UTC)
    monday = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=first.weekday())
    start = monday if ordered[-1] - monday <= timedelta(days=60) else first
    arrivals = array("d", ((moment - start).total_seconds() for moment in ordered))
    days = int(arrivals[-1] // DAY) + 1
    return Trace(name=name, about=f"Recorded from {first:%Y-%m-%d %H:%M} UTC", length=days * DAY, arrivals=arrivals)
