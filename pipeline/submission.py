"""Submission: a Batch task for every sealed manifest that has none. `TaskExists` is success."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.batch import Added, Batch, JobEndedError, JobMissingError
from pipeline.jobs import job_names
from pipeline.sealing import SEALED
from pipeline.storage import BlobChangedError, BlobMissingError, Container, Listed
from pipeline.task_form import manifest_task
from shared.errors import RetryableError

_log = logging.getLogger("darkroom.dispatch")
WIDTH = 16
AT_ONCE = 500
"""Tasks that are added before their manifests are noted: a deadline costs at most so many repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What one submission came to."""

    tasks: int
    refused: dict[str, int] = field(default_factory=dict)
    """Tasks that Batch did not take now, by its word for why."""


@dataclass(kw_only=True)
class Submission:
    """Puts manifests into jobs and notes in their metadata where they are."""

    manifests: Container
    batch: Batch
    pool_id: str
    now: Callable[[], datetime]

    async def submit(self, blobs: Sequence[Listed]) -> Submitted:
        """Submits sealed manifests whose metadata names no job yet.

        Raises QuotaReachedError, BatchUnavailableError, BatchRefusedError; what was added before is noted, and what was
        not comes again.
        """
        groups: dict[tuple[str, ...], list[Listed]] = {}
        for blob in blobs:
            names = tuple(job_names(self.pool_id, _id(blob), self.now().astimezone(UTC)))
            groups.setdefault(names, []).append(blob)
        tasks = 0
        refused: Counter[str] = Counter()
        for names, group in groups.items():
            for start in range(0, len(group), AT_ONCE):
                part = group[start : start + AT_ONCE]
                job, added = await self._add(names, part)
                await self._note(job, [blob for blob in part if _id(blob) in set(added.tasks)])
                tasks += len(added.tasks)
                refused.update(added.refused.values())
        return Submitted(tasks=tasks, refused=dict(refused))

    async def _add(self, jobs: Sequence[str], blobs: Sequence[Listed]) -> tuple[str, Added]:
        tasks = [manifest_task(_id(blob), blob.name) for blob in blobs]
        for job in jobs:
            try:
                await self.batch.create_job(job)
                return job, await self.batch.add_tasks(job, tasks)
            except JobEndedError as error:
                _log.warning("event=job_takes_no_tasks job=%s error=%r", job, str(error))
            except JobMissingError as error:
                raise RetryableError(f"job {job} was deleted while tasks were added to it") from error
        raise RetryableError(f"every job of the day was ended: {', '.join(jobs)}. Tasks go on tomorrow.")

    async def _note(self, job: str, blobs: Sequence[Listed]) -> None:
        limit = asyncio.Semaphore(WIDTH)
        submitted = self.now().isoformat(timespec="seconds")

        async def note(blob: Listed) -> None:
            async with limit:
                # Changed or gone: another dispatcher has noted it, or its task has even ended.
                with suppress(BlobChangedError, BlobMissingError):
                    metadata = {**blob.metadata, "job": job, "submitted": submitted}
                    await self.manifests.set_metadata(blob.name, metadata, etag=blob.etag)

        await asyncio.gather(*(note(blob) for blob in blobs))


def _id(blob: Listed) -> str:
    return blob.name.removeprefix(SEALED).removesuffix(".json")
