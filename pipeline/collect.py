"""Collect: tasks that have ended close their manifests."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.batch import Batch, JobMissingError, TaskView
from pipeline.closing import Closed, Closing, End, Publisher, manifest_id
from pipeline.inbox import Inbox
from pipeline.journal import Journal, Run
from pipeline.open_manifest import CLOSED, KNOWN
from pipeline.quarantine import QUARANTINE, Quarantine
from pipeline.sealing import SEALED
from pipeline.storage import Container, Listed, StorageError, listed
from shared.app_settings import BatchSettings, PipelineSettings
from shared.errors import DarkroomError, RetryableError
from shared.outcome import Result

BUDGET = 240.0
"""Seconds after which a run begins nothing new; what is left waits for the next run."""
MARGIN = timedelta(minutes=15)
"""How far the clocks of storage and Batch may differ."""
WIDTH = 6
"""Manifests closed at once: bounds memory as well as requests."""
LAST_CLOSED, REMEMBERED = "last_closed", 2
"""What the state's memory calls the manifests that were closed last and made PNGs, and how many it keeps."""
TOTALS = frozenset(
    {
        *(result.value for result in Result),
        *("images", "retried", "quarantined", "quarantine_removed", "closed", "failed_tasks", "vanished_tasks"),
        *("bytes_in", "bytes_out", "pixels", "ms"),
    }
)
"""Counts of each run that are also kept since ever."""

_log = logging.getLogger("darkroom.collect")


@dataclass(kw_only=True)
class Collect:
    """One process's collector. Two at once do the same work twice and no harm."""

    manifests: Container
    outcomes: Container
    quarantine: Quarantine
    batch: Batch
    inbox: Inbox
    journal: Journal
    settings: PipelineSettings
    batch_settings: BatchSettings
    now: Callable[[], datetime]
    publisher: Publisher | None = None

    async def run(self) -> Mapping[str, object]:
        """Closes the manifests whose tasks have ended; what it saw and did, as stored in `state/collect.json`."""
        async with self.journal.run("collect", total=TOTALS) as run:
            submitted = [blob for blob in await listed(self.manifests, SEALED, metadata=True) if _job(blob)]
            ended = await self._ended(submitted, run)
            closed = await self._close_all(ended, run)
            await self._forget_quarantined(closed, run)
            run.seen = {"open": len(submitted) - len(closed), **dict(run.counts)}
            await self._count_quarantine(run)
            run.gauges["open"] = len(submitted) - len(closed)
            if closed:
                ids = [one.summary.manifest for one in closed]
                run.memory[CLOSED] = [*run.memory.get(CLOSED, []), *ids][-KNOWN:]
                # The page shows their PNGs, and would else have to look for them in the archive.
                run.memory[LAST_CLOSED] = [one.summary.manifest for one in closed if one.converted][-REMEMBERED:] or (
                    run.memory.get(LAST_CLOSED, [])
                )
                _log.info(
                    "event=collect closed=%d done=%d rejected=%d retried=%d failed_tasks=%d",
                    len(closed),
                    run.counts["converted"] + run.counts["current"],
                    run.counts["rejected"],
                    run.counts["retried"],
                    run.counts["failed_tasks"],
                )
        return run.seen

    async def _ended(self, submitted: Sequence[Listed], run: Run) -> list[tuple[Listed, End]]:
        """The manifests whose tasks have ended, oldest first."""
        jobs: dict[str, list[Listed]] = {}
        for blob in submitted:
            jobs.setdefault(_job(blob), []).append(blob)
        ended: list[tuple[Listed, End]] = []
        try:
            async with asyncio.timeout(self.batch_settings.request_deadline):
                for job, blobs in jobs.items():
                    try:
                        async for pair in self._ended_in(job, blobs):
                            ended.append(pair)  # noqa: PERF401 (what came before an error counts)
                    except DarkroomError as error:
                        run.failed(error)
        except TimeoutError:
            run.failed(RetryableError(f"Batch did not answer within {self.batch_settings.request_deadline:g} s"))
        return sorted(ended, key=lambda pair: (pair[0].created, pair[0].name))

    async def _ended_in(self, job: str, blobs: Sequence[Listed]) -> AsyncIterator[tuple[Listed, End]]:
        """One by one, so that a deadline costs only what was not asked yet."""
        try:
            tasks = await self.batch.tasks(job, since=min(blob.created for blob in blobs) - MARGIN)
        except JobMissingError:
            _log.warning("event=job_vanished job=%s manifests=%d", job, len(blobs))
            for blob in blobs:
                yield blob, End(how="vanished")
            return
        for blob in blobs:
            # The listing is bounded by time; one that is not in it is asked for by name before it is given up.
            task = tasks.get(manifest_id(blob.name)) or await self.batch.task(job, manifest_id(blob.name))
            end = _end(task)
            if end is not None:
                yield blob, end

    async def _close_all(self, ended: Sequence[tuple[Listed, End]], run: Run) -> list[Closed]:
        now = self.now()
        closing = Closing(
            manifests=self.manifests,
            outcomes=self.outcomes,
            quarantine=self.quarantine,
            inbox=self.inbox,
            max_attempts=self.settings.max_attempts,
            now=now.isoformat(),
            publisher=self.publisher,
        )
        limit = asyncio.Semaphore(WIDTH)
        started = asyncio.get_running_loop().time()

        async def close(blob: Listed, end: End) -> Closed | None:
            async with limit:
                if asyncio.get_running_loop().time() - started > BUDGET:
                    return None
                try:
                    closed = await closing.close(blob, end)
                except Exception as error:  # noqa: BLE001 (whatever is wrong with one manifest, the others go on)
                    run.failed(error)
                    return None
                if closed is not None:
                    _count(run.counts, closed)
                return closed

        results = await asyncio.gather(*(close(blob, end) for blob, end in ended))
        return [closed for closed in results if closed is not None]

    async def _count_quarantine(self, run: Run) -> None:
        """Once a run, so that a status, which is asked much more often, need not."""
        try:
            count = await self.quarantine.count()
        except StorageError as error:
            run.failed(error)
            return
        if count is not None:
            run.seen[QUARANTINE] = count

    async def _forget_quarantined(self, closed: Sequence[Closed], run: Run) -> None:
        converted: dict[str, str] = {}
        for one in closed:
            converted |= one.converted
        try:
            run.counts["quarantine_removed"] += await self.quarantine.forget_converted(converted)
        except StorageError as error:
            run.failed(error)


def _job(blob: Listed) -> str:
    return blob.metadata.get("job", "")


def _end(task: TaskView | None) -> End | None:
    """How a task ended; None while it has not."""
    if task is None:
        return End(how="vanished")
    if not task.completed:
        return None
    return End(how="succeeded" if task.succeeded else "failed", task=task)


def _count(counts: Counter[str], closed: Closed) -> None:
    summary = closed.summary
    counts["closed"] += 1
    counts["images"] += summary.images
    counts.update(summary.counts)
    counts["bytes_in"] += summary.bytes_in
    counts["bytes_out"] += summary.bytes_out
    counts["pixels"] += summary.pixels
    counts["ms"] += summary.milliseconds
    if summary.end in ("failed", "vanished"):
        counts[f"{summary.end}_tasks"] += 1
    if not closed.told:
        counts["events_unpublished"] += 1
