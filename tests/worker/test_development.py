"""One image's fate: whose PNG it is, and what happens when the world changes between two requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from shared.app_settings import StorageSettings
from shared.errors import RetryableError
from shared.manifest import Entry
from shared.naming import Naming, source_label
from shared.outcome import Outcome, Result
from shared.worker_settings import ConversionSettings
from tests.worker.jpegs import jpeg
from tests.worker.memory import MemoryBlobs
from worker.budget import Budget
from worker.development import Developer
from worker.reasons import Reason, RejectedError
from worker.wire import Png

JPEG = jpeg((8, 8))
PNG = Png(pieces=(bytearray(b"the"), bytearray(b"png")), size=6, width=8, height=8, mode="RGB", notes=("oriented",))


class Scene:
    """An account with images, and a developer whose conversion is a constant."""

    def __init__(self, naming: Naming = Naming.REPLACE, settings: ConversionSettings | None = None) -> None:
        self.blobs = MemoryBlobs("images", "converted")
        self.conversions = 0
        self.rejection: RejectedError | None = None
        self.developer = Developer(
            self.blobs,
            self._convert,
            storage=StorageSettings(),
            naming=naming,
            settings=settings or ConversionSettings(),
            pixels=Budget(1000),
            source_bytes=Budget(10**6),
            clock=lambda: datetime(2026, 1, 2, tzinfo=UTC),
        )

    async def _convert(self, _: bytes, /) -> Png:
        self.conversions += 1
        if self.rejection is not None:
            raise self.rejection
        return PNG

    def drop(self, name: str = "a.jpg", data: bytes = JPEG) -> Entry:
        return Entry(name=name, etag=self.blobs.seed("images", name, data), size=len(data))

    def png_of(self, source: str, etag: str, name: str = "a.png") -> None:
        """A PNG that is there already."""
        self.blobs.seed("converted", name, b"old", {"source": source_label(source), "source_etag": etag})

    async def develop(self, entry: Entry) -> Outcome:
        return await self.developer.develop(entry)

    def content(self, name: str = "a.png") -> bytes:
        return self.blobs.containers["converted"][name].data


async def test_the_normal_way_costs_one_get_and_one_put() -> None:
    """And the PNG says whose it is."""
    scene = Scene()
    entry = scene.drop("folder/ü 1.JPG")
    outcome = await scene.develop(entry)
    assert outcome.result is Result.CONVERTED
    assert (outcome.png, outcome.bytes_in, outcome.bytes_out, outcome.pixels) == ("folder/ü 1.png", len(JPEG), 6, 64)
    assert outcome.notes == ("oriented",)
    assert outcome.at == "2026-01-02T00:00:00.000Z"
    assert [operation for operation, _, _ in scene.blobs.operations] == ["get", "put"]
    stored = scene.blobs.containers["converted"]["folder/ü 1.png"]
    assert (stored.data, stored.content_type) == (b"thepng", "image/png")
    assert dict(stored.metadata) == {"source": source_label("folder/ü 1.JPG"), "source_etag": entry.etag}


async def test_a_png_of_this_very_version_is_current() -> None:
    """A run that died between its PUT and its outcome is not done twice, and nothing is written."""
    scene = Scene()
    entry = scene.drop()
    scene.png_of("a.jpg", entry.etag)
    outcome = await scene.develop(entry)
    assert (outcome.result, outcome.png) == (Result.CURRENT, "a.png")
    assert scene.content() == b"old"


async def test_a_png_of_an_older_version_is_replaced() -> None:
    """The source's present ETag is ours: the older PNG gives way."""
    scene = Scene()
    entry = scene.drop()
    scene.png_of("a.jpg", "0xOLD")
    assert (await scene.develop(entry)).result is Result.CONVERTED
    assert scene.content() == b"thepng"


async def test_an_older_version_never_replaces_a_newer_png() -> None:
    """The image was replaced while it was converted, and the newer version's PNG is there already."""
    scene = Scene()
    entry = scene.drop()

    async def replaced(operation: str, *_: str) -> None:
        if operation == "put":
            scene.blobs.before = None
            newer = scene.drop(data=JPEG + b"newer")
            scene.png_of("a.jpg", newer.etag)

    scene.blobs.before = replaced
    assert (await scene.develop(entry)).result is Result.SUPERSEDED
    assert scene.content() == b"old"


async def test_an_image_that_was_replaced_or_deleted_before_the_fetch_is_told_so() -> None:
    """Its newer arrival is on its way; nothing is converted for it."""
    scene = Scene()
    entry = scene.drop()
    scene.drop(data=JPEG + b"newer")
    assert (await scene.develop(entry)).result is Result.SUPERSEDED
    del scene.blobs.containers["images"]["a.jpg"]
    assert (await scene.develop(entry)).result is Result.DELETED
    assert scene.conversions == 0


async def test_an_image_that_is_deleted_while_it_is_converted_leaves_anothers_png_alone() -> None:
    """Where a PNG is there and the source is gone, nothing is written."""
    scene = Scene()
    entry = scene.drop()
    scene.png_of("a.jpg", "0xOLD")

    async def deleted(operation: str, *_: str) -> None:
        if operation == "put":
            scene.blobs.before = None
            del scene.blobs.containers["images"]["a.jpg"]

    scene.blobs.before = deleted
    assert (await scene.develop(entry)).result is Result.DELETED
    assert scene.content() == b"old"


async def test_two_sources_of_one_name_first_come_keeps_it() -> None:
    """a.jpg and a.jpeg: the second is rejected, by name, and never overwrites."""
    scene = Scene()
    first = scene.drop("a.jpeg")
    scene.png_of("a.jpeg", first.etag)
    outcome = await scene.develop(scene.drop("a.jpg"))
    assert (outcome.result, outcome.reason) == (Result.REJECTED, Reason.NAME_CONFLICT.value)
    assert "a.jpeg" in outcome.detail
    assert scene.content() == b"old"


async def test_a_name_is_free_again_once_its_first_source_is_gone() -> None:
    """The other source's PNG is an orphan: it is replaced."""
    scene = Scene()
    scene.png_of("a.jpeg", "0xGONE")
    assert (await scene.develop(scene.drop("a.jpg"))).result is Result.CONVERTED
    assert scene.content() == b"thepng"


async def test_appending_names_avoids_the_conflict() -> None:
    """naming=append gives each source a name of its own."""
    scene = Scene(Naming.APPEND)
    for name in ("a.jpg", "a.jpeg"):
        assert (await scene.develop(scene.drop(name))).png == name + ".png"


async def test_a_png_that_changes_under_our_hands_is_looked_at_again() -> None:
    """Someone replaced or removed the PNG between the look and the write."""
    scene = Scene()
    entry = scene.drop()
    scene.png_of("a.jpg", "0xOLD")
    puts = 0

    async def meddle(operation: str, *_: str) -> None:
        nonlocal puts
        if operation == "put":
            puts += 1
            if puts == 2:
                scene.png_of("a.jpg", "0xOTHER")
            if puts == 3:
                del scene.blobs.containers["converted"]["a.png"]

    scene.blobs.before = meddle
    assert (await scene.develop(entry)).result is Result.CONVERTED
    assert (puts, scene.content()) == (4, b"thepng")


async def test_a_png_that_never_stands_still_fails_the_task_not_the_image() -> None:
    """A retry may find it quiet."""
    scene = Scene()
    entry = scene.drop()

    async def meddle(operation: str, *_: str) -> None:
        if operation == "put":
            scene.png_of("a.jpg", "0xOTHER")

    scene.blobs.before = meddle
    with pytest.raises(RetryableError):
        await scene.develop(entry)


async def test_a_bad_image_is_an_outcome() -> None:
    """What is no JPEG is not even given to a converting process."""
    scene = Scene()
    outcome = await scene.develop(scene.drop(data=b"GIF89a"))
    assert (outcome.result, outcome.reason) == (Result.REJECTED, "not-a-jpeg")
    assert scene.conversions == 0
    scene.rejection = RejectedError(Reason.TOO_SLOW, limit=5)
    outcome = await scene.develop(scene.drop())
    assert (outcome.reason, outcome.detail) == (
        "too-slow",
        "The conversion took longer than 5 seconds and was stopped.",
    )


async def test_a_file_over_the_limit_is_not_even_fetched() -> None:
    """Its size is in the manifest; that it is still there is asked for first."""
    scene = Scene(settings=ConversionSettings(max_bytes=10))
    outcome = await scene.develop(scene.drop())
    assert outcome.reason == "too-many-bytes"
    assert [operation for operation, _, _ in scene.blobs.operations] == ["head"]


async def test_an_archived_image_and_a_name_without_room_are_rejected() -> None:
    """Neither can be mended by another try."""
    scene = Scene(Naming.APPEND)
    entry = scene.drop()
    scene.blobs.containers["images"]["a.jpg"].archived = True
    assert (await scene.develop(entry)).reason == "archived"
    assert (await scene.develop(scene.drop("x" * 1017 + ".jpg"))).reason == "name-too-long"


async def test_decoded_pixels_in_flight_are_bounded() -> None:
    """16 images of 64 pixels under a bound of 1000 pixels: never more than 15 at once, and all are done."""
    scene = Scene()
    most = now = 0

    async def convert(_: bytes, /) -> Png:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return PNG

    developer = Developer(
        scene.blobs,
        convert,
        storage=StorageSettings(),
        naming=Naming.REPLACE,
        settings=ConversionSettings(),
        pixels=Budget(130),
        source_bytes=Budget(10**6),
    )
    outcomes = await asyncio.gather(*(developer.develop(scene.drop(f"{n}.jpg")) for n in range(16)))
    assert [outcome.result for outcome in outcomes] == [Result.CONVERTED] * 16
    assert most == 2


async def test_a_png_names_the_manifest_whose_task_made_it() -> None:
    """An operator finds the task, and its log, from the PNG alone."""
    scene = Scene()

    async def convert(_: bytes, /) -> Png:
        return PNG

    developer = Developer(
        scene.blobs,
        convert,
        storage=StorageSettings(),
        naming=Naming.REPLACE,
        settings=ConversionSettings(),
        pixels=Budget(1000),
        source_bytes=Budget(10**6),
        manifest="20261121T100000-x-0000",
    )
    await developer.develop(scene.drop())
    assert (await scene.blobs.head("converted", "a.png")).metadata["manifest"] == "20261121T100000-x-0000"
