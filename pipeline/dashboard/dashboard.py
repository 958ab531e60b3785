"""The dashboard: every question the page asks, answered from memory while the answer is young.

What an open page costs is bounded a minute, however many pages are open and however full the containers are:
docs/dashboard.md has the sum, tests/dashboard/test_cost.py holds it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from pipeline.app import App
from pipeline.batch import JobMissingError
from pipeline.collect import LAST_CLOSED
from pipeline.dashboard.document import document
from pipeline.dashboard.fresh import Fresh
from pipeline.dashboard.pictures import Pictures
from pipeline.dashboard.progress import MANIFESTS, Progress
from pipeline.dashboard.reply import Reply, error_reply, json_reply
from pipeline.dashboard.series import Counted, counted, series
from pipeline.replay import Chosen
from pipeline.sealing import SEALED
from pipeline.storage import BlobMissingError
from pipeline.summary import archive_name, from_bytes

SPANS = (15, 60, 360, 1440)
"""Minutes that a series may span."""
LOG_BYTES = 64 * 1024
QUARANTINE_PAGE = 50
REPLAY_MOST = 500
"""Images that one request may replay."""
_MANIFEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_JOURNAL_BYTES = 600_000  # a day of lines, one a minute


@runtime_checkable
class TaskFiles(Protocol):
    """Where a task's files can be read."""

    async def task_file(self, job: str, task: str, name: str, *, last: int) -> tuple[bytes, int] | None:
        """The last bytes of a file and its whole size; None where it is not to be had."""


@dataclass(kw_only=True)
class Dashboard:
    """One process's dashboard."""

    app: App
    clock: Callable[[], float] = time.monotonic
    _documents: Fresh[dict[str, Any]] = field(init=False)
    _done: Fresh[dict[str, int]] = field(init=False)
    _series: Fresh[dict[str, list[float | None]]] = field(init=False)
    _quarantine: Fresh[dict[str, Any]] = field(init=False)
    _pictures: Pictures = field(init=False)
    _progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self._documents = Fresh(seconds=5, clock=self.clock)
        self._done = Fresh(seconds=10, clock=self.clock)
        self._series = Fresh(seconds=20, clock=self.clock)
        self._quarantine = Fresh(seconds=15, clock=self.clock)
        self._pictures = Pictures(
            converted=self.app.converted, known=Fresh(seconds=300, clock=self.clock, most=2 * MANIFESTS)
        )
        self._progress = Progress(outcomes=self.app.outcomes)

    async def data(self) -> Reply:
        """Counts, manifests, pool, stages, recent PNGs."""
        return json_reply(await self._documents.get("data", self._make_document))

    async def series(self, minutes: str) -> Reply:
        """The time series over a span of SPANS."""
        if minutes not in {str(span) for span in SPANS}:
            return error_reply(400, f"minutes must be one of {', '.join(str(span) for span in SPANS)}.")
        return json_reply(await self._series.get(minutes, lambda: self._make_series(int(minutes))))

    async def quarantine(self, after: str) -> Reply:
        """A page of the quarantine; `next` continues it."""
        return json_reply(await self._quarantine.get(after, lambda: self._make_quarantine(after)))

    async def png(self, name: str) -> Reply:
        """One small PNG."""
        return await self._pictures.reply(name)

    async def log(self, manifest: str) -> Reply:
        """The end of what a manifest's task printed."""
        job = await self._job(manifest) if _MANIFEST_ID.fullmatch(manifest) else ""
        if not job:
            return error_reply(404, "It has no task (yet).")
        files = []
        batch = self.app.batch
        if isinstance(batch, TaskFiles):
            for name in ("stdout.txt", "stderr.txt"):
                try:
                    found = await batch.task_file(job, manifest, name, last=LOG_BYTES)
                except JobMissingError:
                    found = None
                if found is not None:
                    data, size = found
                    text = data.decode("utf-8", "replace")
                    files.append({"name": name, "text": text, "cut": size > len(data)})
        if not files:
            return error_reply(404, "The task has not started, or its node and its files are gone.")
        return json_reply({"manifest": manifest, "files": files})

    async def _job(self, manifest: str) -> str:
        """The job of a manifest's task: of an open one, or one that is archived. Empty where there is none."""
        sealed = await self.app.manifests.find(f"{SEALED}{manifest}.json")
        if sealed is not None:
            return sealed.metadata.get("job", "")
        name = archive_name(manifest)
        try:
            return from_bytes((await self.app.manifests.read(name)).data, where=name).job
        except BlobMissingError:
            return ""

    async def replay(self, body: object) -> Reply:
        """Brings images back from quarantine: `{"names": [...]}`."""
        names = body.get("names") if isinstance(body, dict) else None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            return error_reply(400, "names must be a list of names.")
        if len(names) > REPLAY_MOST:
            return error_reply(400, f"At most {REPLAY_MOST} at once; darkroom quarantine replay takes any number.")
        replayed = await self.app.replay.replay(Chosen(names=tuple(names)))
        self._quarantine.forget()
        self._documents.forget()
        return json_reply(replayed.as_json())

    async def _make_document(self) -> dict[str, Any]:
        status = await self.app.status()
        collect = status.stages.get("collect")
        closed = collect.memory.get(LAST_CLOSED, []) if collect else []  # their PNGs, if they closed between two looks
        running = [one.id for one in status.manifests if one.job]
        wanted = [str(one) for one in closed] + running
        done = await self._done.get("done", lambda: self._progress.of(wanted))
        return document(status, done, self._progress.recent(), [str(one) for one in closed])

    async def _make_series(self, minutes: int) -> dict[str, list[float | None]]:
        now = self.app.now()
        days = {f"{day:%Y%m%d}": day for day in (now - timedelta(minutes=minutes), now)}

        async def lines(stage: str) -> Sequence[Counted]:
            found = []
            for name in sorted(days):
                last = min(_JOURNAL_BYTES, 8192 + minutes * 1024)
                found += await self.app.journal.lines(stage, days[name], last=last)
            return [line for one in found if (line := counted(one.at, one.counts)) is not None]

        dispatch, collect = await asyncio.gather(lines("dispatch"), lines("collect"))
        return series(dispatch, collect, now=now.timestamp(), minutes=minutes)

    async def _make_quarantine(self, after: str) -> dict[str, Any]:
        container = self.app.quarantine_container
        async for page in container.pages(metadata=True, marker=after, size=QUARANTINE_PAGE):
            shown = [
                {
                    "name": blob.name,
                    "reason": blob.metadata.get("reason", ""),
                    "when": blob.modified.isoformat(),
                    "manifest": blob.metadata.get("manifest", ""),
                }
                for blob in page.blobs
            ]
            return {"shown": shown, "next": page.marker}
        return {"shown": [], "next": ""}
