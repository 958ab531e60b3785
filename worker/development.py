"""One image, from its blob to its PNG's blob: fetched, converted, stored; and whose PNG it is where one is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from shared.app_settings import StorageSettings
from shared.errors import RetryableError
from shared.manifest import Entry
from shared.naming import MAX_BLOB_NAME, Naming, png_name, source_label
from shared.outcome import Outcome, Result
from shared.worker_settings import ConversionSettings
from worker.blobs import ArchivedError, Blob, BlobMissingError, Blobs, ConditionError, Properties
from worker.budget import Budget
from worker.jpeg import read_frame
from worker.limits import check_limits
from worker.reasons import Reason, RejectedError
from worker.wire import Png

_LOOKS = 5  # times that a PNG may change under our hands
SOURCE, SOURCE_ETAG, MANIFEST = "source", "source_etag", "manifest"


class Convert(Protocol):
    """Turns a JPEG into a PNG somewhere else. Raises RejectedError, or RetryableError."""

    async def __call__(self, jpeg: bytes, /) -> Png: ...


class Ended(Exception):  # noqa: N818 (no error: it carries an early answer out of the steps)
    """The image's fate is known before its PNG is stored."""

    def __init__(self, *, result: Result, detail: str) -> None:
        super().__init__(detail)
        self.result = result
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What is told of an image beside its result."""

    png: Png | None
    bytes_in: int


class Developer:
    """Does what an entry of a manifest asks for."""

    def __init__(
        self,
        blobs: Blobs,
        convert: Convert,
        *,
        storage: StorageSettings,
        naming: Naming,
        settings: ConversionSettings,
        pixels: Budget,
        source_bytes: Budget,
        manifest: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._blobs = blobs
        self._convert = convert
        self._storage = storage
        self._naming = naming
        self._settings = settings
        self._pixels = pixels
        self._source_bytes = source_bytes
        # From a PNG alone, an operator finds the task that made it.
        self._made_by = {MANIFEST: manifest} if manifest else {}
        self._clock = clock

    async def develop(self, entry: Entry) -> Outcome:
        """What became of the image. Raises RetryableError and the port's errors where the world is at fault."""
        started = time.monotonic()
        name = png_name(entry.name, self._naming)
        try:
            made, result = await self._make(entry, name)
        except RejectedError as rejected:
            return self._outcome(entry, Result.REJECTED, started, reason=rejected.reason.value, detail=rejected.detail)
        except Ended as ended:
            png = name if ended.result is Result.CURRENT else ""
            return self._outcome(entry, ended.result, started, detail=ended.detail, png=png)
        return self._outcome(entry, result, started, png=name, made=made)

    async def _make(self, entry: Entry, name: str) -> tuple[_Made, Result]:
        length = len(name.encode("utf-16-le", "surrogatepass")) // 2
        if length > MAX_BLOB_NAME:
            raise RejectedError(Reason.NAME_TOO_LONG, found=length, limit=MAX_BLOB_NAME)
        if entry.size > self._settings.max_bytes:
            await self._expect_present(entry)
            raise RejectedError(Reason.TOO_MANY_BYTES, found=entry.size, limit=self._settings.max_bytes)
        async with self._source_bytes.hold(entry.size):
            jpeg = (await self._fetch(entry)).data
            frame = read_frame(jpeg)
            check_limits(frame, len(jpeg), self._settings)
            size = len(jpeg)
            async with self._pixels.hold(frame.pixels):
                png = await self._convert(jpeg)
                del jpeg
                result = await self._store(entry, name, png)
                return _Made(png=png, bytes_in=size), result

    async def _fetch(self, entry: Entry) -> Blob:
        try:
            return await self._blobs.get(self._storage.images, entry.name, if_match=entry.etag)
        except BlobMissingError as error:
            raise Ended(result=Result.DELETED, detail="The image is gone.") from error
        except ConditionError as error:
            await self._expect_present(entry)  # a blob that is gone may fail the condition, too
            raise RetryableError(
                f"{entry.name}: storage says both that this version is there and that it is not"
            ) from error
        except ArchivedError as error:
            raise RejectedError(Reason.ARCHIVED) from error

    async def _store(self, entry: Entry, name: str, png: Png) -> Result:
        """Writes the PNG where the name is free; else looks whose PNG is there, and decides by the source's ETag."""
        if_match = ""
        for _ in range(_LOOKS):
            try:
                await self._put(entry, name, png, if_match)
            except ConditionError:
                if_match = await self._whose(entry, name)
            else:
                return Result.CONVERTED
        raise RetryableError(f"{self._storage.converted}/{name} changed {_LOOKS} times while it was to be written")

    async def _put(self, entry: Entry, name: str, png: Png, if_match: str) -> None:
        await self._blobs.put(
            self._storage.converted,
            name,
            png.pieces,
            content_type="image/png",
            metadata={SOURCE: source_label(entry.name), SOURCE_ETAG: entry.etag, **self._made_by},
            if_match=if_match,
        )

    async def _whose(self, entry: Entry, name: str) -> str:
        """The ETag of the PNG to replace; empty when it has gone meanwhile. Raises Ended, RejectedError."""
        try:
            there = await self._blobs.head(self._storage.converted, name)
        except BlobMissingError:
            return ""
        label = there.metadata.get(SOURCE, "")
        if label == source_label(entry.name) and there.metadata.get(SOURCE_ETAG) == entry.etag:
            raise Ended(result=Result.CURRENT, detail="Its PNG is there already.")
        await self._expect_present(entry)
        if label and label != source_label(entry.name):
            other = await self._other_source(name, label)
            if other is not None:
                raise RejectedError(Reason.NAME_CONFLICT, png=name, other=other.name)
        return there.etag

    async def _expect_present(self, entry: Entry) -> None:
        """Raises Ended unless this very version is still what the images container holds."""
        try:
            source = await self._blobs.head(self._storage.images, entry.name)
        except BlobMissingError as error:
            raise Ended(result=Result.DELETED, detail="The image is gone.") from error
        if source.etag != entry.etag:
            raise Ended(result=Result.SUPERSEDED, detail="A newer version has taken its place.")

    async def _other_source(self, name: str, label: str) -> Properties | None:
        """The image that a label names, if it still exists. Labels cannot be decoded, only compared."""
        async for image in self._blobs.list(self._storage.images, name.removesuffix(".png")):
            if source_label(image.name) == label:
                return image
        return None

    def _outcome(
        self,
        entry: Entry,
        result: Result,
        started: float,
        *,
        reason: str = "",
        detail: str = "",
        png: str = "",
        made: _Made | None = None,
    ) -> Outcome:
        picture = made.png if made else None
        return Outcome(
            name=entry.name,
            etag=entry.etag,
            result=result,
            at=self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            reason=reason,
            detail=detail,
            png=png,
            bytes_in=made.bytes_in if made else 0,
            bytes_out=picture.size if picture else 0,
            pixels=picture.width * picture.height if picture else 0,
            milliseconds=round((time.monotonic() - started) * 1000),
            notes=picture.notes if picture else (),
        )
