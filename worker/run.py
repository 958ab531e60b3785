"""A run: all images of a list, many under way at once, until the list or the node's patience ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from shared.app_settings import StorageSettings
from shared.errors import RetryableError
from shared.manifest import Entry
from shared.naming import Naming
from shared.outcome import Outcome
from shared.worker_settings import ConversionSettings, RunSettings
from worker.blobs import Blobs
from worker.budget import Budget
from worker.converters import Converters
from worker.development import Developer
from worker.ledger import Ledger
from worker.report import Report
from worker.wire import Png

_FAILURES = 3  # images in a row that the world has failed: then it is away, and the run ends
_LANES_A_PROCESS = 6  # images under way for each converting process: the others are being fetched or stored


@dataclass(slots=True)
class Stop:
    """Why no new image is begun, once that is so. `asked` is set by a node's notice, or when the world fails."""

    asked: asyncio.Event
    failure: RetryableError | None = None
    failures: int = 0

    def failed(self, error: RetryableError) -> None:
        """Counts an image that the world has failed; several in a row end the run."""
        self.failure = error
        self.failures += 1
        if self.failures >= _FAILURES:
            self.asked.set()


class Run:
    """Develops entries with a node's processes. A ledger, where there is one, is told of every outcome."""

    def __init__(
        self,
        blobs: Blobs,
        converters: Converters,
        *,
        storage: StorageSettings,
        naming: Naming,
        conversion: ConversionSettings,
        settings: RunSettings,
        report: Report,
        ledger: Ledger | None,
        asked: asyncio.Event,
    ) -> None:
        async def convert(jpeg: bytes, /) -> Png:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(converters.threads, converters.convert, jpeg)

        self._converters = converters
        self._settings = settings
        self._report = report
        self._ledger = ledger
        self._stop = Stop(asked=asked)
        self._developer = Developer(
            blobs,
            convert,
            storage=storage,
            naming=naming,
            settings=conversion,
            pixels=Budget(settings.pixels_in_flight),
            source_bytes=Budget(settings.bytes_in_flight),
            manifest=ledger.manifest if ledger else "",
        )

    async def develop(self, entries: Iterable[Entry]) -> int:
        """Develops all entries. Returns how many are left without an outcome: 0 unless it was asked to stop.

        Raises RetryableError where the world failed, after everything that could be done was done and told.
        """
        queue = list(reversed(list(entries)))
        total, done = len(queue), 0

        async def lane() -> None:
            nonlocal done
            while queue and not self._stop.asked.is_set():
                finished = await self._one(queue.pop())
                done += finished  # after the wait: the other lanes count meanwhile

        async with self._ledger.keep() if self._ledger else _nothing():
            count = min(total, self._converters.count * _LANES_A_PROCESS)
            await self._finish([asyncio.create_task(lane()) for _ in range(count)])
        if self._stop.failure is not None:
            raise self._stop.failure
        return total - done

    async def _one(self, entry: Entry) -> int:
        """Develops one entry; 1 when it has an outcome."""
        try:
            outcome = await self._developer.develop(entry)
        except RetryableError as error:
            self._report.say("failed", f"{entry.name}: {error}", image=entry.name)
            self._stop.failed(error)
            return 0
        self._stop.failures = 0
        self._tell(outcome)
        return 1

    def _tell(self, outcome: Outcome) -> None:
        if self._ledger is not None:
            self._ledger.add(outcome)
        self._report.image(outcome)

    async def _finish(self, lanes: list[asyncio.Task[None]]) -> None:
        """Waits for the lanes; after a stop only for the grace. What still runs then is abandoned."""
        asked = asyncio.create_task(_until(self._stop.asked))
        try:
            running: set[asyncio.Task[None]] = set(lanes)
            while running and not asked.done():
                ended, _ = await asyncio.wait({*running, asked}, return_when=asyncio.FIRST_COMPLETED)
                running -= ended
                _raise_first(ended)
            if running:
                ended, running = await asyncio.wait(running, timeout=self._settings.grace)
                _raise_first(ended)
        finally:
            asked.cancel()
            for task in lanes:
                task.cancel()
            await asyncio.gather(asked, *lanes, return_exceptions=True)


def _raise_first(ended: Iterable[asyncio.Task[None]]) -> None:
    for task in ended:
        error = task.exception()
        if error is not None:
            raise error


async def _until(event: asyncio.Event) -> None:
    await event.wait()


@contextlib.asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
