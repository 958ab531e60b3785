"""Whether events arrive: dead letters, and images that only a sweep found."""

from __future__ import annotations

import json

from darkroom.connection import Connection
from darkroom.why.finding import Code, Finding, Weight

DEAD_LETTERS = "deadletter"
"""The container that the event subscription dead-letters to, on Azure and here (infra/)."""
_COUNTED = 1000


async def probe_events(connection: Connection) -> list[Finding]:
    """Looks into the dead-letter container, at most a thousand blobs of it, and reads the newest one."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    container = await connection.container(DEAD_LETTERS)
    count = 0
    newest = None
    try:
        async for blob in container.list_blobs():
            count += 1
            if newest is None or blob.last_modified > newest.last_modified:
                newest = blob
            if count >= _COUNTED:
                break
    except ResourceNotFoundError:
        return []  # dead-lettering is off, or goes elsewhere
    if newest is None:
        return []
    data = await (await container.download_blob(newest.name)).readall()
    many = "at least " if count >= _COUNTED else ""
    return [
        Finding(
            code=Code.EVENTS_DEAD_LETTERED,
            weight=Weight.SLOWED,
            what=f"Event Grid gave up on events: {many}{count} dead letter(s), the newest of "
            f"{newest.last_modified.isoformat(timespec='seconds')}.",
            advice="The sweep finds their images all the same. Mend the cause, then darkroom clean dead-letters.",
            evidence=_told(data),
        )
    ]


def _told(data: bytes) -> tuple[str, ...]:
    try:
        events = json.loads(data)
    except ValueError:
        return ()
    if not isinstance(events, list):
        return ()
    return tuple(
        f"{event.get('subject', '?')}: {event.get('deadLetterReason', '?')} after {event.get('deliveryAttempts', '?')} "
        f"attempt(s), {event.get('lastDeliveryOutcome', '?')}"
        for event in events[:3]
        if isinstance(event, dict)
    )
