"""Event Grid at its worst: every event at least once unless it is dropped for good, in any order, in any batch.

Posts to the function host's webhook as Event Grid does
(https://learn.microsoft.com/azure/azure-functions/event-grid-how-tos) and repeats what is not accepted.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.chaos.truth import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How badly events are delivered. Shares of events, 0 to 1."""

    dropped: float = 0.05
    duplicated: float = 0.25
    late: float = 0.2
    """Held back for up to `longest_wait` seconds before the first delivery."""
    longest_wait: float = 5.0
    most_in_batch: int = 25


@dataclass
class Counts:
    """What was delivered."""

    accepted: int = 0
    """Events in deliveries that the host accepted, duplicates included."""
    duplicated: int = 0
    dropped: int = 0
    refused: int = 0
    """Deliveries that were answered with an error, or not at all."""


class EventSender:
    """Delivers events for one container to one function until `stop`."""

    def __init__(self, *, url: str, endpoint: str, container: str, rng: random.Random, habits: Habits) -> None:
        """`url` is the webhook with function name and key; `endpoint` the blob endpoint that events name."""
        self._url = url
        self._endpoint = endpoint
        self._container = container
        self._rng = rng
        self._habits = habits
        self._waiting: list[tuple[float, Mapping[str, Any]]] = []
        self._under_way = 0
        self.counts = Counts()

    def announce(self, version: Version) -> None:
        """An image was written: its event is on its way, or lost."""
        if self._rng.random() < self._habits.dropped:
            self.counts.dropped += 1
            return
        event = self._event(version)
        copies = 1
        if self._rng.random() < self._habits.duplicated:
            copies = self._rng.randrange(2, 4)
            self.counts.duplicated += copies - 1
        now = asyncio.get_running_loop().time()
        for _ in range(copies):
            late = self._rng.random() < self._habits.late
            self._waiting.append((now + (self._rng.uniform(0, self._habits.longest_wait) if late else 0.0), event))

    @property
    def idle(self) -> bool:
        """Whether everything has been accepted."""
        return not self._waiting and not self._under_way

    async def run(self) -> None:
        """Delivers until it is cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http, asyncio.TaskGroup() as group:
            while True:
                batch = self._take()
                if batch:
                    self._under_way += len(batch)
                    group.create_task(self._deliver(http, batch))
                await asyncio.sleep(0.02)

    def _take(self) -> list[Mapping[str, Any]]:
        now = asyncio.get_running_loop().time()
        due = [item for item in self._waiting if item[0] <= now]
        self._rng.shuffle(due)
        chosen = due[: self._rng.randrange(1, self._habits.most_in_batch + 1)]
        for item in chosen:
            self._waiting.remove(item)
        return [event for _, event in chosen]

    async def _deliver(self, http: aiohttp.ClientSession, batch: list[Mapping[str, Any]]) -> None:
        try:
            async with http.post(self._url, json=batch, headers={"aeg-event-type": "Notification"}) as answer:
                await answer.read()
                accepted = answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError):
            accepted = False
        self._under_way -= len(batch)
        if accepted:
            self.counts.accepted += len(batch)
            return
        self.counts.refused += 1
        again = asyncio.get_running_loop().time() + self._rng.uniform(0.5, 1.5)
        self._waiting += [(again, event) for event in batch]

    def _event(self, version: Version) -> Mapping[str, Any]:
        quoted = self._rng.random() < 0.5
        return {
            "id": str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
            "subject": f"/blobServices/default/containers/{self._container}/blobs/{version.name}",
            "eventType": "Microsoft.Storage.BlobCreated",
            "eventTime": version.written,
            "dataVersion": "",
            "metadataVersion": "1",
            "data": {
                "api": "PutBlob",
                "clientRequestId": "c",
                "requestId": "r",
                "eTag": f'"{version.etag}"' if quoted else version.etag,
                "contentType": "image/jpeg",
                "contentLength": version.size,
                "blobType": "BlockBlob",
                "url": f"{self._endpoint}/{self._container}/{quote(version.name)}",
                "sequencer": version.sequencer,
                "storageDiagnostics": {"batchId": "b"},
            },
        }
