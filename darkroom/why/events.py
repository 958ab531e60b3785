"""Whether events arrive: those that wait for delivery, where that can be known, and dead letters."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from darkroom.app_door import AppDoor
from darkroom.connection import Connection
from darkroom.failure import CommandError
from darkroom.output import moment
from darkroom.why.finding import Code, Finding, Weight

DEAD_LETTERS = "deadletters"
"""The container that the event subscription dead-letters to, on Azure (main.bicep) and here (local.json)."""
_COUNTED = 1000
_STATE = "/_local/state"


async def probe_events(connection: Connection, *, patience: float) -> list[Finding]:
    """What waits to be delivered, and what was given up."""
    return await _undelivered(connection, patience) + await _dead_letters(connection)


async def _undelivered(connection: Connection, patience: float) -> list[Finding]:
    """Asks a local cloud's event service. Azure tells it by metrics only, for which an operator needs a role more."""
    profile = connection.profile
    if not profile.events_url:
        return []
    door = AppDoor(url=profile.events_url, key=profile.master_key)
    try:
        answer = await asyncio.to_thread(door.call, _STATE)
    except CommandError as error:
        raise CommandError(
            f"The event service at {profile.events_url} does not answer", code=error.code, hint="Start it: make up."
        ) from error
    if answer.status != 200:
        raise CommandError(f"The event service at {profile.events_url} answers {answer.status}")
    now = datetime.now(UTC)
    return [
        Finding(
            code=Code.EVENTS_UNDELIVERED,
            weight=Weight.SLOWED,
            what=f"{one['waiting']} event(s) of {one['name']} wait to be delivered to {one['function']}, the oldest "
            f"since {one['oldest']}.",
            advice="They are tried again by themselves, and at once when the function app is back: see host-down, "
            "app-does-not-load and stage-failed.",
            evidence=_attempts(one),
        )
        for one in answer.json()["subscriptions"]
        if one["tried"] or _age(one["oldest"], now) > patience
    ]


def _attempts(one: dict[str, Any]) -> tuple[str, ...]:
    if one["tried"]:
        return (f"{one['tried']} of them tried in vain: {one['last_failure'] or 'no answer'}",)
    return () if one["validated"] else ("the endpoint has not answered the handshake",)


def _age(oldest: str, now: datetime) -> float:
    since = moment(oldest) if oldest else None
    return (now - since).total_seconds() if since else 0.0


async def _dead_letters(connection: Connection) -> list[Finding]:
    """Looks into the dead-letter container, at most a thousand blobs of it, and reads the newest one."""
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError  # noqa: PLC0415 (slow to load)

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
    except HttpResponseError as error:
        if error.status_code not in (401, 403):
            raise
        return [
            Finding(
                code=Code.PERMISSION_DENIED,
                weight=Weight.NOTE,
                what=f"You may not read container {DEAD_LETTERS!r}, so whether events were given up is not known.",
                advice="Role needed: Storage Blob Data Reader (to clean: Contributor), scoped to the container.",
                evidence=(str(error).splitlines()[0],),
            )
        ]
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
