"""Closing a manifest: every entry's outcome becomes final, or goes back to an inbox, or to quarantine.

The order of the writes makes a crash between any two of them harmless: quarantine documents, retries, the summary, the
event, and only then the manifest is deleted. Doing it again writes the same documents and the same retries (same ids).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pipeline import summary as summaries
from pipeline.batch import TaskView
from pipeline.inbox import Inbox
from pipeline.quarantine import Quarantine
from pipeline.sealing import SEALED
from pipeline.storage import (
    BlobChangedError,
    BlobExistsError,
    BlobMissingError,
    Container,
    Listed,
    listed,
)
from pipeline.summary import Summary
from shared import manifest as manifests
from shared.arrival import Arrival
from shared.manifest import Entry, Manifest
from shared.outcome import Outcome, Result, from_lines, undone
from shared.quarantine import ATTEMPTS_EXHAUSTED, Quarantined

_log = logging.getLogger("darkroom.collect")


class Publisher(Protocol):
    """Tells the world that a manifest is closed."""

    async def completed(self, summary: Summary) -> None:
        """May raise RetryableError: the event is then lost, which is told, and the work is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a manifest's task ended."""

    how: str
    """succeeded, failed or vanished."""
    task: TaskView | None = None

    @property
    def counts_as_attempt(self) -> bool:
        """A task that vanished was ended by a person: its images are not to blame."""
        return self.how != "vanished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What closing a manifest came to."""

    summary: Summary
    converted: dict[str, str]
    """Names to ETags of the images that have a PNG now."""
    told: bool = True
    """Whether the event was published, where one is to be."""


@dataclass(kw_only=True)
class Closing:
    """Closes manifests whose tasks have ended."""

    manifests: Container
    outcomes: Container
    quarantine: Quarantine
    inbox: Inbox
    max_attempts: int
    now: str
    """The moment of this run, ISO 8601 UTC: the same for all that it closes."""
    publisher: Publisher | None = None
    deadline: float = 60.0
    """Seconds for the retries of one manifest to become durable."""

    async def close(self, blob: Listed, end: End) -> Closed | None:
        """Closes the manifest of a sealed blob; None where another collector has done it.

        Raises DocumentError where the manifest or an outcome is of a release that this one does not know.
        """
        try:
            stored = await self.manifests.read(blob.name)
        except BlobMissingError:
            return None
        manifest = manifests.from_bytes(stored.data, where=f"{self.manifests.name}/{blob.name}")
        found, runs = await self._outcomes(manifest.id)
        best = summaries.best_outcomes(manifest.entries, found)
        left = undone(manifest.entries, best.values())
        exhausted, retried = self._divide(left, end)
        await self._quarantine(manifest, best, exhausted, end)
        await self._retry(manifest, retried, end)
        summary = summaries.summarise(
            manifest,
            best,
            retried=len(retried),
            quarantined=len(exhausted) + sum(o.result is Result.REJECTED for o in best.values()),
            job=blob.metadata.get("job", ""),
            end=end.how,
            closed=self.now,
            runs=runs,
            node=end.task.node if end.task else "",
            exit_code=end.task.exit_code if end.task else None,
        )
        with suppress(BlobExistsError):  # archived before a crash, or by another collector
            await self.manifests.create(
                summaries.archive_name(manifest.id),
                summaries.to_bytes(summary),
                metadata={"images": str(summary.images), "closed": summary.closed, "ended": end.how},
            )
        told = await self._publish(summary)
        with suppress(BlobMissingError, BlobChangedError):
            await self.manifests.delete(blob.name, etag=stored.etag)
        done = (Result.CONVERTED, Result.CURRENT)
        return Closed(
            summary=summary,
            converted={outcome.name: outcome.etag for outcome in best.values() if outcome.result in done},
            told=told,
        )

    async def _outcomes(self, manifest_id: str) -> tuple[list[Outcome], int]:
        """All outcomes of all runs, and how many runs there were."""
        blobs = sorted(await listed(self.outcomes, f"{manifest_id}/"), key=lambda blob: (blob.created, blob.name))
        outcomes: list[Outcome] = []
        for blob in blobs:
            where = f"{self.outcomes.name}/{blob.name}"
            try:
                lines = from_lines((await self.outcomes.read(blob.name)).data, where=where)
            except BlobMissingError:
                continue  # pruned since it was listed
            if lines.torn:
                _log.warning("event=outcomes_torn blob=%s lines=%d", where, lines.torn)
            outcomes += lines.outcomes
        return outcomes, len(blobs)

    def _divide(self, left: Sequence[Entry], end: End) -> tuple[list[Entry], list[tuple[int, Entry]]]:
        """What was not done: entries that had their last attempt, and the others with their new attempt count."""
        exhausted: list[Entry] = []
        retried: list[tuple[int, Entry]] = []
        for entry in left:
            attempt = entry.attempt + 1 if end.counts_as_attempt else entry.attempt
            if attempt >= self.max_attempts:
                exhausted.append(entry)
            else:
                retried.append((attempt, entry))
        return exhausted, retried

    async def _quarantine(
        self, manifest: Manifest, best: dict[tuple[str, str], Outcome], exhausted: Sequence[Entry], end: End
    ) -> None:
        sizes = {entry.key: entry for entry in manifest.entries}
        documents = [
            Quarantined(
                name=outcome.name,
                etag=outcome.etag,
                size=sizes[outcome.key].size,
                reason=outcome.reason,
                detail=outcome.detail,
                when=outcome.at,
                attempts=sizes[outcome.key].attempt + 1,
                manifest=manifest.id,
            )
            for outcome in best.values()
            if outcome.result is Result.REJECTED
        ]
        documents += [
            Quarantined(
                name=entry.name,
                etag=entry.etag,
                size=entry.size,
                reason=ATTEMPTS_EXHAUSTED,
                detail=_why_exhausted(end),
                when=self.now,
                attempts=entry.attempt + 1,
                manifest=manifest.id,
            )
            for entry in exhausted
        ]
        limit = asyncio.Semaphore(8)

        async def put(document: Quarantined) -> None:
            async with limit:
                await self.quarantine.put(document)

        await asyncio.gather(*(put(document) for document in documents))

    async def _retry(self, manifest: Manifest, retried: Sequence[tuple[int, Entry]], end: End) -> None:
        index = {entry.key: number for number, entry in enumerate(manifest.entries)}
        arrivals = [
            Arrival(
                id=f"retry-{manifest.id}-{index[entry.key]}",
                name=entry.name,
                etag=entry.etag,
                size=entry.size,
                time=manifest.created,
                attempt=attempt,
                via="retry",
            )
            for attempt, entry in retried
        ]
        await self.inbox.add(arrivals, deadline=self.deadline)
        if arrivals:
            _log.warning("event=retried manifest=%s images=%d task=%s", manifest.id, len(arrivals), end.how)

    async def _publish(self, summary: Summary) -> bool:
        if self.publisher is None:
            return True
        try:
            await self.publisher.completed(summary)
        except Exception as error:  # noqa: BLE001 (whatever the topic answers, the work is done and must be closed)
            _log.error("event=completed_unpublished manifest=%s error=%r", summary.manifest, str(error))
            return False
        return True


def manifest_id(blob_name: str) -> str:
    """The id of the manifest in a blob of `sealed/`."""
    return blob_name.removeprefix(SEALED).removesuffix(".json")


def _why_exhausted(end: End) -> str:
    told = end.task.failure if end.task else ""
    return f"Every allowed task failed on it. The last one: {told or 'no outcome was left'}"
