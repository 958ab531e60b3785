"""The application: settings, containers, Batch and the stages on them, made once a process when first asked for."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.batch import Batch
from pipeline.closing import Publisher
from pipeline.collect import Collect
from pipeline.dispatch import Dispatch
from pipeline.inbox import Inbox
from pipeline.ingest import Ingest
from pipeline.ingest_journal import IngestJournal
from pipeline.journal import Journal
from pipeline.quarantine import Quarantine
from pipeline.replay import Replay
from pipeline.retention import Retention
from pipeline.sealing import Sealing
from pipeline.status import Status, gather
from pipeline.storage import Container
from pipeline.sweep import Sweep, SweepReport
from shared.app_settings import AppSettings, blob_endpoint
from shared.arrival import Arrival
from shared.events import Ignored, ImageSource, account_of

SWEEP_SECONDS = 420.0
"""One run of the sweep; host.json ends a function after ten minutes."""

_log = logging.getLogger("darkroom.sweep")


def fresh_id(now: datetime) -> str:
    """A new id that sorts by time and begins with its date: of processes and of plans."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


@dataclass(kw_only=True)
class App:
    """Everything that a process of the function app, or the command line, works with."""

    settings: AppSettings
    images: Container
    converted: Container
    manifests: Container
    outcomes: Container
    quarantine_container: Container
    batch: Batch
    now: Callable[[], datetime]
    publisher: Publisher | None = None
    new_id: Callable[[datetime], str] = fresh_id
    inbox: Inbox = field(init=False)
    journal: Journal = field(init=False)
    quarantine: Quarantine = field(init=False)
    ingest: Ingest = field(init=False)
    ingest_journal: IngestJournal = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(container=self.manifests, process=self.new_id(self.now()))
        self.journal = Journal(container=self.manifests, now=self.now, schedules=self.settings.pipeline.schedules)
        self.quarantine = Quarantine(container=self.quarantine_container, images=self.images)
        storage = self.settings.storage
        self.ingest = Ingest(
            inbox=self.inbox,
            source=ImageSource(account=account_of(blob_endpoint(storage)), container=storage.images),
            deadline=self.settings.pipeline.ingest_deadline,
        )
        self.ingest_journal = IngestJournal(journal=self.journal, counts=self.ingest.counts, process=self.inbox.process)

    async def arrived(self, event: Mapping[str, Any]) -> Arrival | Ignored:
        """One event: returns when its arrival is durable. Raises RetryableError when it must come again."""
        try:
            return await self.ingest.handle(event)
        finally:
            self.ingest_journal.soon()

    async def dispatch(self, *, everything: bool = False) -> Mapping[str, object]:
        """Seals, submits, keeps the pool."""
        sealing = Sealing(manifests=self.manifests, settings=self.settings.pipeline, now=self.now, new_id=self.new_id)
        return await Dispatch(
            settings=self.settings,
            manifests=self.manifests,
            batch=self.batch,
            sealing=sealing,
            journal=self.journal,
            now=self.now,
        ).run(everything=everything)

    async def collect(self) -> Mapping[str, object]:
        """Closes manifests whose tasks have ended."""
        return await Collect(
            manifests=self.manifests,
            outcomes=self.outcomes,
            quarantine=self.quarantine,
            batch=self.batch,
            inbox=self.inbox,
            journal=self.journal,
            settings=self.settings.pipeline,
            batch_settings=self.settings.batch,
            now=self.now,
            publisher=self.publisher,
        ).run()

    async def sweep(
        self,
        *,
        prefix: str = "",
        dry_run: bool = False,
        min_age: float | None = None,
        seconds: float = SWEEP_SECONDS,
        via: str = "sweep",
    ) -> SweepReport:
        """Finds what events missed. Only a whole, real sweep is kept as the stage's state."""
        sweep = Sweep(
            images=self.images,
            converted=self.converted,
            quarantine=self.quarantine_container,
            manifests=self.manifests,
            inbox=self.inbox,
            settings=self.settings.pipeline,
            now=self.now,
        )
        if prefix or dry_run:
            return await sweep.run(prefix=prefix, dry_run=dry_run, min_age=min_age, deadline=seconds, via=via)
        async with self.journal.run("sweep") as run:
            if run.memory.get("report"):
                run.seen = dict(run.memory["report"])  # what is known stays known where this run fails
            report = await sweep.run(min_age=min_age, deadline=seconds, via=via)
            run.seen = report.as_json()
            if report.complete:
                run.memory["report"] = report.as_json()
            run.gauges |= {name: float(count) for name, count in report.counts.items()}
            found = " ".join(f"{name}={count}" for name, count in sorted(report.counts.items()))
            _log.info("event=sweep complete=%s %s", report.complete, found)
        return report

    async def prune(self, *, seconds: float = 120.0) -> Mapping[str, int]:
        """Deletes archives, outcomes and journals that are older than the retention, at most once a day."""
        return await Retention(
            manifests=self.manifests,
            outcomes=self.outcomes,
            journal=self.journal,
            days=self.settings.pipeline.retention_days,
            now=self.now,
        ).run(seconds=seconds)

    async def status(self) -> Status:
        """The whole at a glance, from a bounded number of requests."""
        return await gather(self.manifests, self.quarantine_container, self.journal, now=self.now())

    @property
    def replay(self) -> Replay:
        """Brings quarantined images back, or drops their documents."""
        return Replay(quarantine=self.quarantine, images=self.images, inbox=self.inbox, now=self.now)
