"""The counters of ingest on their way to the journal: a write now and then, not one an event."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from pipeline.journal import Journal

EVERY = 20.0
"""Seconds between two writes of one process, at the most often. What a process counted last may be lost with it."""


@dataclass(kw_only=True)
class IngestJournal:
    """Writes what ingest has counted since the last time."""

    journal: Journal
    counts: Counter[str]
    """Counts since the process began, by what became of the event."""
    process: str
    every: float = EVERY
    _told: Counter[str] = field(default_factory=Counter)
    _task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Sees to it that what was counted gets written, some seconds from now."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._later(), name="ingest-journal")

    async def _later(self) -> None:
        await asyncio.sleep(self.every)
        await self.write()

    async def write(self) -> None:
        """Writes the counts that were not written yet."""
        fresh = self.counts - self._told
        if not fresh:
            return
        self._told = Counter(self.counts)
        async with self.journal.run("ingest", total=frozenset(fresh)) as run:
            run.counts.update(fresh)
            run.seen = {"process": self.process, **self.counts}
