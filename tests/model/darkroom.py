"""The real code of inbox and sealing as actors of the explorer, on the storage fake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.inbox import PREFIX, Inbox, inbox_name
from pipeline.sealing import REFUSED, SEALED, Sealing
from pipeline.storage import StorageUnavailableError, listed
from shared.app_settings import PipelineSettings
from shared.arrival import Arrival, from_lines, to_line
from shared.errors import RetryableError
from shared.manifest import from_bytes
from tests.fakes.storage import FakeContainer, Gate
from tests.model.schedule import Scenario, Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Actor = Callable[[], Awaitable[object]]


def arrival(name: str, etag: str = "0x1") -> Arrival:
    """An arrival whose id is its version."""
    return Arrival(id=f"{name} {etag}", name=name, etag=etag, size=1, time="2026-01-01T00:00:00Z", sequencer=etag)


class Manifests(FakeContainer):
    """Remembers every manifest that was ever written, with every content."""

    def __init__(self, gate: Gate) -> None:
        super().__init__("manifests", gate=gate, clock=lambda: NOW)
        self.written: dict[str, set[bytes]] = {}

    def put(self, name: str, data: bytes, metadata: Mapping[str, str], *, appendable: bool = False) -> str:
        if name.startswith(SEALED):
            self.written.setdefault(name, set()).add(data)
        return super().put(name, data, metadata, appendable=appendable)

    def snapshot(self) -> Hashable:
        return super().snapshot(), frozenset((name, frozenset(data)) for name, data in self.written.items())


@dataclass
class House:
    """The manifests container, and what appenders were told."""

    stage: Stage
    settings: PipelineSettings = field(default_factory=lambda: PipelineSettings(manifest_max_images=2))
    kind: type[Sealing] = Sealing
    acknowledged: list[Arrival] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manifests = Manifests(self.stage.act)

    def snapshot(self) -> Hashable:
        return self.manifests.snapshot(), tuple((a.name, a.etag) for a in self.acknowledged)

    def already_arrived(self, process: str, *arrivals: Arrival) -> None:
        """These were made durable by a process before the scenario begins."""
        self.manifests.put(inbox_name(process, 1), b"".join(map(to_line, arrivals)), {}, appendable=True)
        self.acknowledged += arrivals

    def appender(self, process: str, *arrivals: Arrival, tries: int = 1) -> Actor:
        """Brings its arrivals one after another, each up to `tries` times, as Event Grid would."""

        async def run() -> None:
            inbox = Inbox(container=self.manifests, process=process)
            for one in arrivals:
                await self._bring(inbox, one, tries)

        return run

    def group(self, process: str, *arrivals: Arrival) -> Actor:
        """Brings all its arrivals at once, each in an invocation of its own."""

        async def run() -> None:
            inbox = Inbox(container=self.manifests, process=process)
            await asyncio.gather(*(self._bring(inbox, one, 1) for one in arrivals))

        return run

    async def _bring(self, inbox: Inbox, one: Arrival, tries: int) -> None:
        for _ in range(tries):
            try:
                await inbox.add([one], deadline=25)
            except RetryableError:
                continue
            self.acknowledged.append(one)
            return

    def dispatcher(self, name: str, *, steps: int = 1) -> Actor:
        """Runs of dispatch, one after another; a run that storage fails ends, as the timer's would."""

        async def run() -> None:
            sealing = self.sealing(name)
            for _ in range(steps):
                try:
                    await sealing.step(everything=True)
                except StorageUnavailableError:
                    continue

        return run

    def closer(self) -> Actor:
        """Closes every manifest that it sees, once: to a dispatcher that was asleep it never existed."""

        async def run() -> None:
            for blob in await listed(self.manifests, SEALED):
                await self.manifests.delete(blob.name)

        return run

    def sealing(self, name: str) -> Sealing:
        """A dispatcher whose plans bear its name."""
        numbers = iter(range(100))
        return self.kind(
            manifests=self.manifests,
            settings=self.settings,
            now=lambda: NOW,
            new_id=lambda _: f"{name}-{next(numbers)}",
        )

    async def settle(self) -> None:
        """A dispatcher that nothing disturbs, until there is nothing to do."""
        sealing = self.sealing("late")
        for _ in range(10):
            if await sealing.step(everything=True) is None:
                return
        raise AssertionError("dispatch finds work for ever")

    # What must hold.

    def nothing_lost(self) -> None:
        """Every acknowledged arrival is in an inbox or in a manifest; no manifest has two contents."""
        forks = [name for name, contents in self.manifests.written.items() if len(contents) > 1]
        assert not forks, f"written with two contents: {forks}"
        held = {(a.name, a.etag) for a in self._in_inboxes()} | set(self.in_manifests())
        lost = [f"{a.name} {a.etag}" for a in self.acknowledged if (a.name, a.etag) not in held]
        assert not lost, f"acknowledged and lost: {lost}"

    def all_in_manifests(self) -> None:
        """In the end no inbox and no plan is left, and every acknowledged arrival is in a manifest."""
        self.nothing_lost()
        left = [name for name in self.manifests.names() if not name.startswith(SEALED)]
        assert not left, f"left behind: {left}"

    def each_once(self) -> None:
        """Each version is in exactly one manifest (nobody brought it twice)."""
        self.all_in_manifests()
        versions = self.in_manifests()
        twice = {version for version in versions if versions.count(version) > 1}
        assert not twice, f"in more than one manifest: {sorted(twice)}"

    def in_manifests(self) -> list[tuple[str, str]]:
        """The versions of all manifests that ever were."""
        written = self.manifests.written.items()
        manifests = (from_bytes(data, where=name) for name, contents in written for data in contents)
        return [entry.key for manifest in manifests for entry in manifest.entries]

    def _in_inboxes(self) -> Iterable[Arrival]:
        for name in self.manifests.names(PREFIX) + self.manifests.names(REFUSED):
            yield from from_lines(self.manifests.blobs[name].data, where=name)

    def scenario(self, actors: Mapping[str, Actor], *, finally_: Callable[[], None]) -> Scenario:
        """These actors, with what must hold always and in the end."""
        return Scenario(
            world=self,
            actors=actors,
            always=self.nothing_lost,
            settle=self.settle,
            finally_=finally_,
            # Dispatch seals, reads, writes and deletes several blobs at once and waits for all before it goes on.
            unordered=frozenset(name for name in actors if name.startswith("dispatcher")),
        )


def unavailable(label: str) -> Exception:
    """What the stages see when an answer is lost or the service is away."""
    return StorageUnavailableError(label)
