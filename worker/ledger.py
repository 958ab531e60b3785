"""The outcomes of a run, appended to its blob in groups while the work goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.outcome import Outcome, from_lines, to_line
from worker.blobs import Blobs

_GROUP = 50  # outcomes
_SECONDS = 2.0
_MAX_APPEND = 4_000_000  # bytes; a block of an append blob holds 4 MiB


class Ledger:
    """Outcomes go in with `add`; `keep` writes them out in the background; `flush` writes what is left."""

    def __init__(self, blobs: Blobs, container: str, manifest: str, run: str) -> None:
        self._blobs = blobs
        self._container = container
        self.manifest = manifest
        self._name = f"{manifest}/{run}.jsonl"
        self._prefix = f"{manifest}/"
        self._pending: list[bytes] = []
        self._created = False
        self._full = asyncio.Event()
        self._writing = asyncio.Lock()

    async def earlier(self) -> list[Outcome]:
        """What earlier runs of the manifest have done."""
        outcomes: list[Outcome] = []
        async for blob in self._blobs.list(self._container, self._prefix):
            data = (await self._blobs.get(self._container, blob.name)).data
            outcomes += from_lines(data, where=f"{self._container}/{blob.name}").outcomes
        return outcomes

    def add(self, outcome: Outcome) -> None:
        """Takes an outcome; it is durable after the next flush."""
        self._pending.append(to_line(outcome))
        if len(self._pending) >= _GROUP:
            self._full.set()

    async def flush(self) -> None:
        """Appends what is pending. What could not be written stays pending, and the error is raised."""
        async with self._writing:
            while self._pending:
                group = self._group()
                if not self._created:
                    await self._blobs.create_log(self._container, self._name)
                    self._created = True
                await self._blobs.append(self._container, self._name, b"".join(group))
                del self._pending[: len(group)]

    @contextlib.asynccontextmanager
    async def keep(self) -> AsyncIterator[None]:
        """Flushes every few seconds and whenever a group is full, while the block runs, and once after it."""
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
            await self.flush()

    async def _keep(self) -> None:
        while True:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await self._full.wait()
            self._full.clear()
            # A flush is never cut off in the middle: its append may have taken effect, and would be written twice.
            await asyncio.shield(self.flush())

    def _group(self) -> list[bytes]:
        size, count = 0, 0
        for line in self._pending:
            size += len(line)
            if count and size > _MAX_APPEND:
                break
            count += 1
        return self._pending[:count]
