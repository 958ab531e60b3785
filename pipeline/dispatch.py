"""Dispatch: what has arrived becomes sealed manifests, and each sealed manifest a Batch task.

Its parts do not hold each other up: a pool that cannot be looked at does not stop sealing. What went wrong is told in
`state/dispatch.json`, and comes again with the next run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline import jobs, open_manifest
from pipeline.batch import Batch, JobMissingError, TaskCounts
from pipeline.inbox import PREFIX
from pipeline.journal import Journal, Run
from pipeline.pool_keeper import PoolKeeper
from pipeline.sealing import REFUSED, SEALED, Sealing
from pipeline.storage import Container, Listed, listed
from pipeline.submission import Submission
from shared.app_settings import AppSettings
from shared.errors import DarkroomError, RetryableError

BUDGET = 120.0
"""Seconds after which a run begins no new plan; the next run goes on."""
TIDY_EVERY = timedelta(minutes=10)
TOTALS = frozenset({"arrivals", "manifests", "tasks", "refused_inboxes"})

_log = logging.getLogger("darkroom.dispatch")


@dataclass(kw_only=True)
class Dispatch:
    """One process's dispatcher. Two at once leave the same manifests and the same tasks."""

    settings: AppSettings
    manifests: Container
    batch: Batch
    sealing: Sealing
    journal: Journal
    now: Callable[[], datetime]

    async def run(self, *, everything: bool = False) -> Mapping[str, object]:
        """Seals, submits, keeps the pool; what it saw and did, as stored in `state/dispatch.json`.

        `everything`: also inboxes that could wait for more arrivals.
        """
        async with self.journal.run("dispatch", total=TOTALS) as run:
            async with self._part(run):
                await self._seal(run, everything=everything)
            open_manifests: list[Listed] = []
            async with self._part(run):
                open_manifests = await listed(self.manifests, SEALED, metadata=True)
            # Before the tasks: Batch takes tasks for a pool that is not there yet, but a new pool needs its time.
            async with self._part(run, seconds=self.settings.batch.request_deadline):
                await self._keep_pool(run, open_manifests)
            async with self._part(run, seconds=self.settings.batch.request_deadline):
                await self._submit(run, open_manifests)
            async with self._part(run, seconds=self.settings.batch.request_deadline):
                await self._tidy(run, open_manifests)
            async with self._part(run):
                await self._see(run, open_manifests)
        return run.seen

    @asynccontextmanager
    async def _part(self, run: Run, *, seconds: float | None = None) -> AsyncIterator[None]:
        """A part of the run whose failure is noted and leaves the other parts to go on."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            run.failed(RetryableError(f"no answer within {seconds or 0:g} s"))
        except DarkroomError as error:
            run.failed(error)

    async def _seal(self, run: Run, *, everything: bool) -> None:
        started = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - started < BUDGET:
            sealed = await self.sealing.step(everything=everything)
            if sealed is None:
                return
            run.counts["inboxes"] += sealed.inboxes
            run.counts["manifests"] += sealed.manifests
            run.counts["arrivals"] += sealed.images
            run.counts["refused_inboxes"] += len(sealed.refused)

    async def _keep_pool(self, run: Run, open_manifests: Sequence[Listed]) -> None:
        keeper = PoolKeeper(
            batch=self.batch, pool_settings=self.settings.pool, batch_settings=self.settings.batch, now=self.now
        )
        counts = await self._task_counts(open_manifests)
        run.seen["tasks"] = {"active": counts.active, "running": counts.running}
        run.gauges |= {"tasks_active": counts.active, "tasks_running": counts.running}
        unsubmitted = sum(1 for blob in open_manifests if not _job(blob))

        async def remember(history: Mapping[str, Any]) -> None:
            run.memory["pool_health"] = dict(history)
            await self.journal.note(run)

        kept = await keeper.keep(
            memory=run.memory.get("pool_health") or {},
            pending=counts.active + counts.running + unsubmitted,
            remember=remember,
        )
        run.seen["pool"] = kept.as_json()
        run.gauges |= {f"nodes_{state}": float(number) for state, number in kept.nodes.by_state().items()}
        if kept.pool is not None:
            run.gauges |= {
                "target_dedicated": kept.pool.target_dedicated,
                "target_low_priority": kept.pool.target_low_priority,
                "current_dedicated": kept.pool.current_dedicated,
                "current_low_priority": kept.pool.current_low_priority,
            }

    async def _task_counts(self, open_manifests: Sequence[Listed]) -> TaskCounts:
        active = running = 0
        for job in sorted({_job(blob) for blob in open_manifests} - {""}):
            try:
                counts = await self.batch.task_counts(job)
            except JobMissingError:
                continue  # collect brings its images back
            active, running = active + counts.active, running + counts.running
        return TaskCounts(active=active, running=running)

    async def _submit(self, run: Run, open_manifests: Sequence[Listed]) -> None:
        waiting = [blob for blob in open_manifests if not _job(blob)]
        if not waiting:
            return
        submission = Submission(
            manifests=self.manifests, batch=self.batch, pool_id=self.settings.batch.pool_id, now=self.now
        )
        submitted = await submission.submit(waiting)
        run.counts["tasks"] += submitted.tasks
        if submitted.refused:
            run.failed(RetryableError(f"Batch did not take some tasks now: {submitted.refused}"))

    async def _tidy(self, run: Run, open_manifests: Sequence[Listed]) -> None:
        now = self.now()
        last = str(run.memory.get("tidied", ""))
        if last and datetime.fromisoformat(last) > now - TIDY_EVERY:
            return
        ended, deleted = await jobs.tidy(
            self.batch,
            pool_id=self.settings.batch.pool_id,
            open_jobs={_job(blob) for blob in open_manifests},
            open_days={blob.name.removeprefix(SEALED)[:8] for blob in open_manifests},
            retention=timedelta(days=self.settings.pipeline.retention_days),
            now=now,
        )
        run.memory["tidied"] = now.isoformat()
        run.counts["jobs_ended"] += ended
        run.counts["jobs_deleted"] += deleted

    async def _see(self, run: Run, open_manifests: Sequence[Listed]) -> None:
        inboxes, refused, opened = await asyncio.gather(
            listed(self.manifests, PREFIX),
            listed(self.manifests, REFUSED),
            listed(self.manifests, SEALED, metadata=True),  # again: they have their tasks now
        )
        now = self.now()
        run.memory[open_manifest.MEMORY] = open_manifest.noted(opened, now)
        oldest = min((blob.created for blob in inboxes if blob.size), default=now)
        images = sum(int(blob.metadata.get("images", "0")) for blob in open_manifests)
        figures = {
            "inboxes": len(inboxes),
            "waiting_bytes": sum(blob.size for blob in inboxes),
            "oldest_waiting_seconds": max(0.0, round((now - oldest).total_seconds(), 1)),
            "open_manifests": len(open_manifests),
            "open_images": images,
            "oldest_manifest_seconds": max(
                0.0, *((now - blob.created).total_seconds() for blob in open_manifests), 0.0
            ),
        }
        run.seen = {**figures, **run.seen, "refused": len(refused), "did": dict(run.counts)}
        run.gauges |= {name: float(value) for name, value in figures.items()}
        _log.info(
            "event=dispatch waiting_inboxes=%d oldest_wait_s=%.0f open_images=%d manifests=%d submitted_tasks=%d",
            figures["inboxes"],
            figures["oldest_waiting_seconds"],
            images,
            run.counts["manifests"],
            run.counts["tasks"],
        )


def _job(blob: Listed) -> str:
    return blob.metadata.get("job", "")
