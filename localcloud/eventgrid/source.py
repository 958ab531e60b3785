"""Turns the log of written blobs into BlobCreated events, each line exactly once."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from localcloud.azurite.writes import BlobWrite, WriteLog
from localcloud.eventgrid.event import BLOB_CREATED, Event, Stored, blob_created, subject
from localcloud.eventgrid.queue import EventQueue, Publication
from localcloud.eventgrid.subscription import EventSubscription

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1  # a stat of one small folder: what following a file costs when nothing happens
_AWAY_PAUSE_SECONDS = 0.5
_PARALLEL_HEADS = 16
_UNHEARD_SECONDS = 1.0
"""An answer that nobody heard tells nothing of its request: what is stored is asked for when that is surely done."""


class BlobProperties(Protocol):
    """Asks the storage account what a blob is."""

    async def stored(self, container: str, blob: str) -> Stored | None:
        """The blob's ETag, length and types; None when it is gone. Raises OSError when the account is away."""
        ...


class BlobEventSource:
    """Follows the write log and fills the queue until it is cancelled. `published` is called when it grew."""

    def __init__(
        self,
        log: WriteLog,
        *,
        queue: EventQueue,
        subscriptions: Sequence[EventSubscription],
        blobs: BlobProperties,
        endpoint: str,
        published: Callable[[], None],
    ) -> None:
        self._log = log
        self._queue = queue
        self._subscriptions = [subscription for subscription in subscriptions if subscription.topic is None]
        self._blobs = blobs
        self._endpoint = endpoint
        self._published = published
        self._slots = asyncio.Semaphore(_PARALLEL_HEADS)

    async def run(self) -> None:
        """Follow the log for ever."""
        while True:
            if not await self.step():
                await asyncio.sleep(_POLL_SECONDS)

    async def step(self) -> bool:
        """Read one portion of the log and publish its events. False when there was nothing to read."""
        position = self._queue.position()
        writes, after = self._log.read(position)
        if not writes:
            if after.segment != position.segment:
                self._queue.publish([], now=time.time(), position=after)
                self._log.forget(after)
            return False
        try:
            publications = [
                publication
                for publication in await asyncio.gather(*(self._publication(write) for write in writes))
                if publication is not None
            ]
        except OSError as error:
            _log.warning("storage is away, %d write notices wait: %s", len(writes), error)
            await asyncio.sleep(_AWAY_PAUSE_SECONDS)
            return False
        if self._queue.publish(publications, now=time.time(), position=after):
            self._published()
        self._log.forget(after)
        return True

    async def _publication(self, write: BlobWrite) -> Publication | None:
        wanting = [
            subscription.name
            for subscription in self._subscriptions
            if subscription.wants_subject(subject(write))
            and (not subscription.included_event_types or BLOB_CREATED in subscription.included_event_types)
        ]
        if not wanting:
            return None
        stored: Stored | None = None
        if write.content_length is None:
            if not write.etag:
                await asyncio.sleep(max(0.0, write.at.timestamp() + _UNHEARD_SECONDS - time.time()))
            async with self._slots:
                stored = await self._blobs.stored(write.container, write.blob)
            if stored is None and not write.etag:
                return None

        def make(sequencer: int) -> Event:
            return blob_created(write, endpoint=self._endpoint, stored=stored, sequencer=sequencer)

        return Publication(make=make, subscriptions=wanting)
