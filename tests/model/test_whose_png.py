"""Every interleaving of workers on versions of one image: an older version never replaces a newer one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from shared.app_settings import StorageSettings
from shared.manifest import Entry
from shared.naming import Naming
from shared.outcome import Result
from shared.worker_settings import ConversionSettings
from tests.model.explorer import Report, ViolationError, explore
from tests.model.schedule import Budget, Scenario, Stage
from tests.worker.jpegs import jpeg
from tests.worker.memory import MemoryBlobs
from worker.budget import Budget as Memory
from worker.development import Developer
from worker.wire import Png

pytestmark = pytest.mark.timeout(600)  # a search is long where the machine is busy

JPEG = jpeg((8, 8))
PNG = Png(pieces=(bytearray(b"png"),), size=3, width=8, height=8, mode="RGB", notes=())
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Actor = Callable[[], Awaitable[object]]


class History(MemoryBlobs):
    """Remembers of which versions PNGs were written, in order."""

    def __init__(self) -> None:
        super().__init__("images", "converted")
        self.made: list[str] = []

    def seed(self, container: str, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> str:
        if container == "converted":
            self.made.append((metadata or {})["source_etag"])
        return super().seed(container, name, data, metadata)


@dataclass
class Darkroom:
    """The images and their PNGs, and what workers said."""

    stage: Stage
    kind: type[Developer] = Developer
    order: list[str] = field(default_factory=list)
    """ETags of the versions, oldest first."""
    outcomes: list[tuple[str, str, Result]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blobs = History()
        self.blobs.before = self._gate

    async def _gate(self, operation: str, container: str, name: str) -> None:
        """What an operation answers follows from the blobs that it sees: they are what the actor then knows."""
        seen = self.blobs.containers[container]

        def look() -> object:
            return [(n, b.etag, dict(b.metadata)) for n, b in sorted(seen.items()) if n.startswith(name)]

        await self.stage.act(f"{operation} {container}/{name}", look)

    def snapshot(self) -> Hashable:
        held = [
            (container, name, blob.etag, blob.metadata.get("source"), blob.metadata.get("source_etag"))
            for container, blobs in self.blobs.containers.items()
            for name, blob in sorted(blobs.items())
        ]
        return tuple(held), tuple(sorted(self.outcomes)), tuple(self.order), tuple(self.blobs.made)

    def drop(self, name: str) -> Entry:
        """A user writes a version of an image."""
        etag = self.blobs.seed("images", name, JPEG)
        self.order.append(etag)
        return Entry(name=name, etag=etag, size=len(JPEG))

    def worker(self, entry: Entry) -> Actor:
        """Develops one version, in a run of its own."""

        async def run() -> None:
            await self._develop(entry)

        return run

    def user_and_worker(self, name: str, *, deletes: bool = False) -> Actor:
        """A new version comes (after the old one was deleted), its event, and a worker that develops it."""

        async def run() -> None:
            if deletes:
                await self.stage.act("user deletes", lambda: self.blobs.containers["images"].pop(name, None) and None)
            entry = await self.stage.act("user uploads", lambda: self.drop(name))
            await self._develop(entry)

        return run

    async def _develop(self, entry: Entry) -> None:
        async def convert(_: bytes, /) -> Png:
            return PNG

        developer = self.kind(
            self.blobs,
            convert,
            storage=StorageSettings(),
            naming=Naming.REPLACE,
            settings=ConversionSettings(),
            pixels=Memory(1000),
            source_bytes=Memory(10**6),
            clock=lambda: NOW,
        )
        outcome = await developer.develop(entry)
        self.outcomes.append((entry.name, entry.etag, outcome.result))

    def never_back(self) -> None:
        """The PNG's version only ever gets newer."""
        places = [self.order.index(etag) for etag in self.blobs.made]
        for before, after in pairwise(places):
            assert before <= after, f"version {after} replaced version {before}"

    def newest_is_there(self) -> None:
        """Once all workers are done, the PNG is of the newest version, and its worker said so."""
        (png,) = self.blobs.containers["converted"].values()
        assert png.metadata["source_etag"] == self.order[-1], "a stale PNG is left"
        said = {result for _, etag, result in self.outcomes if etag == self.order[-1]}
        assert said <= {Result.CONVERTED, Result.CURRENT}, f"the newest version was {said}"
        assert said

    def one_has_the_name(self) -> None:
        """Of two images for one PNG, one has it and the other was rejected."""
        (png,) = self.blobs.containers["converted"].values()
        results = {name: result for name, _, result in self.outcomes}
        owner = str(png.metadata["source"])
        assert results.pop(owner) is Result.CONVERTED
        assert set(results.values()) == {Result.REJECTED}

    def scenario(self, actors: dict[str, Actor], *, always: Callable[[], None], end: Callable[[], None]) -> Scenario:
        async def nobody() -> None:
            """What is left is left."""

        return Scenario(world=self, actors=actors, always=always, settle=nobody, finally_=end)


def overwritten(stage: Stage, kind: type[Developer] = Developer) -> Scenario:
    """A worker on the first version, another run of it (its node was thought dead), and a second version."""
    room = Darkroom(stage, kind)
    first = room.drop("a.jpg")
    actors = {
        "worker 1": room.worker(first),
        "worker 1 again": room.worker(first),
        "user and worker 2": room.user_and_worker("a.jpg"),
    }
    return room.scenario(actors, always=room.never_back, end=room.newest_is_there)


def created_anew(stage: Stage) -> Scenario:
    """The image is deleted and created again while the first version's worker is on its way."""
    room = Darkroom(stage)
    first = room.drop("a.jpg")
    actors = {"worker 1": room.worker(first), "user and worker 2": room.user_and_worker("a.jpg", deletes=True)}
    return room.scenario(actors, always=room.never_back, end=room.newest_is_there)


def rivals(stage: Stage) -> Scenario:
    """Two images compete for one PNG's name."""
    room = Darkroom(stage)
    actors = {name: room.worker(room.drop(name)) for name in ("a.jpeg", "a.jpg")}
    return room.scenario(actors, always=lambda: None, end=room.one_has_the_name)


def run(make: Callable[[Stage], Scenario], budget: Budget) -> Report:
    return explore(make, budget=budget, most_states=40_000)


def test_an_overwritten_image_ends_as_its_newest_version_in_every_order() -> None:
    assert run(overwritten, Budget()).schedules > 500


def test_an_image_that_is_created_anew_ends_as_its_newest_version() -> None:
    assert run(created_anew, Budget()).schedules > 10


def test_of_two_images_for_one_name_one_gets_it_and_the_other_a_reason() -> None:
    assert run(rivals, Budget()).schedules == 6


class LastComeWins(Developer):
    """Replaces whatever PNG is there."""

    async def _whose(self, entry: Entry, name: str) -> str:
        del entry
        return (await self._blobs.head("converted", name)).etag


def test_the_same_search_finds_a_worker_that_replaces_a_newer_png() -> None:
    with pytest.raises(ViolationError, match="version 0 replaced version 1"):
        run(lambda stage: overwritten(stage, LastComeWins), Budget())
