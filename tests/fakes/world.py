"""The whole application over fakes: containers and Batch in memory, a clock that tests turn, and crashes on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pipeline.app import App
from pipeline.sealing import SEALED
from pipeline.storage import StorageUnavailableError
from shared import manifest as manifests
from shared.app_settings import AppSettings, BatchSettings, PipelineSettings, PoolSettings, StorageSettings
from shared.arrival import Arrival, from_lines
from shared.manifest import Manifest
from shared.naming import source_label
from shared.outcome import Outcome, Result, to_line
from tests.fakes.batch import FakeBatch
from tests.fakes.storage import FakeContainer

T = TypeVar("T")
START = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


class CrashError(BaseException):
    """The process is gone: nothing catches it, nothing after it runs."""


class Faults:
    """The gate of all fakes: counts writes, and crashes or loses an answer at the one that a test names."""

    def __init__(self) -> None:
        self.writes = 0
        self.log: list[str] = []
        self.crash_at: int | None = None
        """The process dies at this write (counted from 1)."""
        self.after = False
        """Whether that write still takes effect."""
        self.dead = False
        """After a crash nothing of that process runs on, until `reset`."""
        self.lose_at: int | None = None
        """The answer of this write is lost: it takes effect, and the caller is told that storage is away."""

    def reset(self) -> None:
        self.writes, self.crash_at, self.lose_at, self.log, self.dead = 0, None, None, [], False

    async def __call__(self, label: str, operation: Callable[[], T]) -> T:
        if self.dead:
            raise CrashError(label)
        if label.split(maxsplit=1)[0] in ("read", "find", "list", "get", "count"):
            return operation()
        self.writes += 1
        self.log.append(label)
        if self.writes == self.crash_at:
            self.dead = True
            if self.after:
                operation()
            raise CrashError(label)
        if self.writes == self.lose_at:
            operation()
            raise StorageUnavailableError(f"the answer was lost: {label}")
        return operation()


class World:
    """Storage, Batch and a clock. `app()` gives a fresh process on them."""

    def __init__(self, **pipeline: object) -> None:
        self.faults = Faults()
        self.time = START
        self.number = 0
        clock = lambda: self.time  # noqa: E731 (read each time)
        names = ("images", "converted", "manifests", "outcomes", "quarantine")
        self.containers = {name: FakeContainer(name, gate=self.faults, clock=clock) for name in names}
        self.batch = FakeBatch(gate=self.faults, clock=clock)
        self.settings = AppSettings(
            storage=StorageSettings(account_url="https://photos.blob.core.windows.net"),
            batch=BatchSettings(endpoint="https://photos.westeurope.batch.azure.com"),
            pool=PoolSettings(),
            pipeline=PipelineSettings(**{"manifest_max_age": 0.0, **pipeline}),  # type: ignore[arg-type]
        )

    @property
    def images(self) -> FakeContainer:
        return self.containers["images"]

    @property
    def manifests(self) -> FakeContainer:
        return self.containers["manifests"]

    @property
    def outcomes(self) -> FakeContainer:
        return self.containers["outcomes"]

    @property
    def quarantine(self) -> FakeContainer:
        return self.containers["quarantine"]

    @property
    def converted(self) -> FakeContainer:
        return self.containers["converted"]

    def app(self) -> App:
        """A process that has just started."""
        return App(
            settings=self.settings,
            images=self.images,
            converted=self.converted,
            manifests=self.manifests,
            outcomes=self.outcomes,
            quarantine_container=self.quarantine,
            batch=self.batch,
            now=lambda: self.time,
            new_id=self._id,
        )

    def later(self, **delta: float) -> None:
        """Turns the clock."""
        self.time += timedelta(**delta)

    async def drop(self, name: str, data: bytes = b"jpeg") -> Arrival:
        """An image lands; its arrival."""
        etag = await self.images.replace(name, data)
        return arrival(name, etag, size=len(data))

    def open_manifests(self) -> list[Manifest]:
        """What is sealed and not closed."""
        return [
            manifests.from_bytes(self.manifests.blobs[name].data, where=name) for name in self.manifests.names(SEALED)
        ]

    def waiting(self) -> list[Arrival]:
        """What lies in inboxes, repeats of an id dropped."""
        data = b"".join(self.manifests.blobs[name].data for name in self.manifests.names("inbox/"))
        return list(from_lines(data, where="inbox"))

    async def work(self, manifest: Manifest, results: Sequence[Result] = (), *, run: str = "1") -> None:
        """The worker's part: outcomes for the first entries, and the PNGs of those that are converted."""
        chosen = list(results) or [Result.CONVERTED] * len(manifest.entries)
        lines = []
        for entry, result in zip(manifest.entries, chosen, strict=False):
            reason = "not-a-jpeg" if result is Result.REJECTED else ""
            lines.append(
                to_line(Outcome(name=entry.name, etag=entry.etag, result=result, at=str(self.time), reason=reason))
            )
            if result is Result.CONVERTED:
                metadata = {"source": source_label(entry.name), "source_etag": entry.etag}
                await self.converted.replace(entry.name.rsplit(".", 1)[0] + ".png", b"png", metadata=metadata)
        await self.outcomes.replace(f"{manifest.id}/{run}.jsonl", b"".join(lines))

    def _id(self, now: datetime) -> str:
        self.number += 1
        return f"{now:%Y%m%dT%H%M%S}-{self.number:08x}"


def arrival(name: str, etag: str, *, size: int = 4, id_: str = "", attempt: int = 0) -> Arrival:
    """An arrival by event."""
    return Arrival(
        id=id_ or f"event-{name}-{etag}", name=name, etag=etag, size=size, time=START.isoformat(), attempt=attempt
    )
