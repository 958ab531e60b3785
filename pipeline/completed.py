"""Darkroom.ManifestCompleted: an event for whoever waits for PNGs, on a custom Event Grid topic.

https://learn.microsoft.com/azure/event-grid/custom-topics. At least once for each closed manifest while the topic can
be reached; the event's id is the manifest's, so that a receiver can drop repeats.
"""

from __future__ import annotations

import asyncio
from typing import Any

from azure.core.exceptions import AzureError
from azure.eventgrid import EventGridEvent
from azure.eventgrid.aio import EventGridPublisherClient

from pipeline.summary import Summary, as_body
from shared.errors import RetryableError

EVENT_TYPE = "Darkroom.ManifestCompleted"
DATA_VERSION = "1"
PATIENCE = 10.0
"""Seconds for one event: closing a manifest waits for it."""


class TopicPublisher:
    """Publishes to a custom topic."""

    def __init__(self, client: EventGridPublisherClient) -> None:
        self._client = client

    async def completed(self, summary: Summary) -> None:
        """Raises RetryableError where the topic did not take the event in time."""
        data: dict[str, Any] = as_body(summary)
        event = EventGridEvent(
            id=summary.manifest,
            subject=f"/manifests/{summary.manifest}",
            event_type=EVENT_TYPE,
            data=data,
            data_version=DATA_VERSION,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await self._client.send([event])
        except (TimeoutError, AzureError) as error:
            raise RetryableError(f"the topic did not take the event of {summary.manifest}: {error}") from error
