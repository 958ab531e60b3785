"""Where events go that could not be delivered.

https://learn.microsoft.com/azure/event-grid/manage-event-delivery: a blob
`SUBSCRIPTION/2019/8/8/5/GUID.json` (upper case, no leading zeros, UTC) with an array of the events and what
became of them. Azure waits five minutes before it writes it; here it is written at once.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from localcloud.eventgrid.event import Event, event_time
from localcloud.eventgrid.queue import Pending


class BlobStore(Protocol):
    """Where dead letters are kept."""

    async def put(self, container: str, name: str, body: bytes) -> None:
        """Write one blob. Raises OSError when the store is away."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that is given up: why, how its last delivery ended, and when that was."""

    pending: Pending
    reason: str
    outcome: str
    attempted: datetime

    def document(self) -> Event:
        """The event with Event Grid's dead-letter properties."""
        return {
            **self.pending.event,
            "deadLetterReason": self.reason,
            "deliveryAttempts": self.pending.attempts + 1,
            "lastDeliveryOutcome": self.outcome,
            "publishTime": event_time(datetime.fromtimestamp(self.pending.published, UTC)),
            "lastDeliveryAttemptTime": event_time(self.attempted),
        }


def blob_name(subscription: str, at: datetime, unique: uuid.UUID) -> str:
    """The name of a dead-letter blob."""
    return f"{subscription.upper()}/{at.year}/{at.month}/{at.day}/{at.hour}/{unique}.json"


async def bury(store: BlobStore, container: str, subscription: str, letters: Sequence[DeadLetter]) -> str:
    """Write `letters` as one blob and return its name. Raises OSError when the store is away."""
    name = blob_name(subscription, letters[0].attempted, uuid.uuid4())
    body = json.dumps([letter.document() for letter in letters], ensure_ascii=False).encode()
    await store.put(container, name, body)
    return name
