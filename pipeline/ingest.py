"""Ingest: an event in, a durable arrival out, and only then an answer."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.inbox import Inbox
from shared.arrival import Arrival
from shared.events import Ignored, ImageSource, parse_blob_created

REMEMBERED = 50_000
"""Versions that a process remembers as durable: their repeated deliveries need no second append."""


@dataclass(kw_only=True)
class Ingest:
    """One process's way in. Event Grid delivers at least once and in any order: everything here is idempotent."""

    inbox: Inbox
    source: ImageSource
    deadline: float
    """Seconds from the call to a durable arrival; Event Grid itself waits 30."""
    counts: Counter[str] = field(default_factory=Counter)
    """Events by what became of them: `accepted`, `repeated`, `failed`, and each reason of Ignored."""
    _durable: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    _under_way: dict[tuple[str, str], asyncio.Future[None]] = field(default_factory=dict)

    async def handle(self, event: Mapping[str, Any]) -> Arrival | Ignored:
        """Returns when the event's arrival is durable, or with the reason why it has none.

        Raises RetryableError when the arrival is not known to be durable: the event must come again.
        """
        arrival = parse_blob_created(event, self.source)
        if isinstance(arrival, Ignored):
            self.counts[arrival.value] += 1
            return arrival
        try:
            repeated = await self._keep(arrival)
        except Exception:
            self.counts["failed"] += 1
            raise
        self.counts["repeated" if repeated else "accepted"] += 1
        return arrival

    async def _keep(self, arrival: Arrival) -> bool:
        """Makes it durable, once; whether it was already."""
        key = (arrival.name, arrival.etag)
        if key in self._durable:
            return True
        under_way = self._under_way.get(key)
        if under_way is not None:
            await asyncio.shield(under_way)
            return True
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[key] = done
        try:
            await self.inbox.add([arrival], deadline=self.deadline)
        except BaseException as error:
            done.set_exception(error) if isinstance(error, Exception) else done.cancel()
            done.exception() if not done.cancelled() else None  # nobody else may be waiting for it
            raise
        else:
            done.set_result(None)
            self._durable[key] = None
            if len(self._durable) > REMEMBERED:
                self._durable.popitem(last=False)
        finally:
            del self._under_way[key]
        return False
