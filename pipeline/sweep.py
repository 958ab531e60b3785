"""The sweep: finds every image that has neither a current PNG, nor a current quarantine document, nor a place in line.

This is what makes the whole provable: events may be lost, images are not. Constant memory beside the work in flight; it
stops at its deadline and goes on from there at the next run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from pipeline.inbox import Inbox
from pipeline.inflight import InFlight, gather_in_flight, version_hash
from pipeline.listing import Document, Image, Join, Judged, OrphanedPng, OutdatedDocument, Png, State, sort_key
from pipeline.storage import BlobChangedError, BlobMissingError, Container, Listed, Page
from pipeline.sweep_cursor import Cursor, StreamPlace, forget_cursor, load_cursor, save_cursor
from shared.app_settings import PipelineSettings
from shared.arrival import Arrival
from shared.errors import PermanentError
from shared.naming import Naming, listing_key, source_label

EXAMPLES = 5
AT_ONCE = 1000
"""Arrivals of one append."""
PAGE = 2500
"""Blobs of one page: a page is what a stream holds in memory."""
UNANSWERED = (State.MISSING, State.STALE, State.CONFLICT)

_log = logging.getLogger("darkroom.sweep")


@dataclass(slots=True, kw_only=True)
class SweepReport:
    """What a sweep saw and did. Counts are of images unless they say otherwise; examples are a few names of each."""

    prefix: str
    started: str
    dry_run: bool
    complete: bool = False
    """False: the deadline came first, and the next run goes on from there."""
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, name: str) -> None:
        """One more of a kind, with its name among the first few."""
        self.counts[what] = self.counts.get(what, 0) + 1
        known = self.examples.setdefault(what, [])
        if len(known) < EXAMPLES:
            known.append(name)

    def as_json(self) -> dict[str, Any]:
        """For state documents and answers."""
        return {
            "prefix": self.prefix,
            "started": self.started,
            "dry_run": self.dry_run,
            "complete": self.complete,
            "counts": dict(self.counts),
            "examples": {what: list(found) for what, found in self.examples.items()},
        }


@dataclass(kw_only=True)
class Sweep:
    """Compares what should be with what is."""

    images: Container
    converted: Container
    quarantine: Container
    manifests: Container
    inbox: Inbox
    settings: PipelineSettings
    now: Callable[[], datetime]

    async def run(
        self,
        *,
        prefix: str = "",
        dry_run: bool = False,
        min_age: float | None = None,
        deadline: float = 240.0,
        via: str = "sweep",
    ) -> SweepReport:
        """One sweep, or as much of it as fits into `deadline` seconds.

        `min_age` in seconds overrides SWEEP_MIN_AGE. `dry_run` counts and changes nothing, and neither goes on from an
        earlier run nor leaves a place to go on from. Several prefixes may be swept side by side.
        """
        cursor = None if dry_run else await load_cursor(self.manifests, prefix)
        report = SweepReport(prefix=prefix, started=self.now().isoformat(timespec="seconds"), dry_run=dry_run)
        if cursor is not None:
            report.started, report.counts, report.examples = cursor.started, cursor.counts, cursor.examples
        pass_ = _Pass(
            sweep=self,
            report=report,
            in_flight=await gather_in_flight(self.manifests),
            youngest=self.now() - timedelta(seconds=self.settings.sweep_min_age if min_age is None else min_age),
            via=via,
        )
        until = asyncio.get_running_loop().time() + deadline
        place = await pass_.go(cursor, until)
        report.complete = place is None
        if not dry_run:
            if place is None:
                await forget_cursor(self.manifests, prefix)
            else:
                await save_cursor(self.manifests, place)
        return report


@dataclass(kw_only=True)
class _Pass:
    """One run over the three listings."""

    sweep: Sweep
    report: SweepReport
    in_flight: InFlight
    youngest: datetime
    via: str
    found: list[Arrival] = field(default_factory=list)

    async def go(self, cursor: Cursor | None, until: float) -> Cursor | None:
        """Where to go on, or None when the end was reached. What was found is durable when it returns."""
        join = Join(naming=self.sweep.settings.naming)
        streams = self._streams(cursor)
        if cursor is not None:
            join.resume(cursor.held)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(*(stream.advance() for stream in streams))
            number = 0
            while live := [(sort_key(stream.item), stream, stream.item) for stream in streams if stream.item]:
                _, stream, item = min(live, key=itemgetter(0))
                for finding in join.take(item):
                    await self._act(finding)
                await stream.advance()
                number += 1
                if number % 256 == 0 and loop.time() >= until:
                    await self._flush()
                    return self._place(join, streams)
            for finding in join.end():
                await self._act(finding)
            await self._flush()
            return None
        finally:
            await asyncio.gather(*(stream.close() for stream in streams))

    def _streams(self, cursor: Cursor | None) -> list[_Stream]:
        prefix = self.report.prefix
        # A prefix that reaches into the suffix of a name is shorter for its PNG.
        stem = prefix.rsplit(".", 1)[0] if "." in prefix.rsplit("/", 1)[-1] else prefix

        def stream(
            name: str, container: Container, within: str, parse: Callable[[Listed], Image | Png | Document]
        ) -> _Stream:
            place = cursor.streams[name] if cursor else StreamPlace()
            # Images carry no metadata of ours: their listing is cheaper without.
            pages = container.pages(within, metadata=name != "images", marker=place.marker, size=PAGE)
            return _Stream(name=name, pages=pages, parse=parse, place=place)

        return [
            stream("images", self.sweep.images, prefix, _image),
            stream("converted", self.sweep.converted, stem, _png),
            stream("quarantine", self.sweep.quarantine, prefix, _document),
        ]

    def _place(self, join: Join, streams: list[_Stream]) -> Cursor:
        return Cursor(
            prefix=self.report.prefix,
            started=self.report.started,
            counts=self.report.counts,
            examples=self.report.examples,
            streams={stream.name: stream.place for stream in streams},
            held=[pair for group in join.held.values() for pair in group],
        )

    async def _act(self, finding: Judged | OrphanedPng | OutdatedDocument) -> None:
        match finding:
            case Judged():
                await self._answer(finding)
            case OrphanedPng():
                await self._orphan(finding)
            case OutdatedDocument():
                await self._outdated(finding)

    async def _outdated(self, finding: OutdatedDocument) -> None:
        document = finding.document
        self.report.count("outdated_quarantine", document.name)
        if self.report.dry_run:
            return
        # The listings are not of one moment: the document may speak of a version that came after the image was listed.
        image = None if finding.answered else await self.sweep.images.find(document.name)
        if image is None or image.etag != document.source_etag:
            with suppress(BlobChangedError, BlobMissingError):  # a newer one came, or somebody dropped it
                await self.sweep.quarantine.delete(document.name, etag=document.etag)

    async def _answer(self, judged: Judged) -> None:
        image = judged.image
        self.report.count("images", image.name)
        if judged.state not in UNANSWERED:
            self.report.count(judged.state.value, image.name)
            return
        if (image.name, image.etag) in self.in_flight:
            self.report.count("in_flight", image.name)
            return
        if datetime.fromisoformat(image.modified) > self.youngest:
            self.report.count("young", image.name)
            return
        self.report.count(judged.state.value, image.name)
        if not self.report.dry_run:
            self.found.append(_arrival(image, self.via))
            if len(self.found) >= AT_ONCE:
                await self._flush()

    async def _orphan(self, finding: OrphanedPng) -> None:
        """A PNG of an outdated version always goes; one without a source only where the setting says so."""
        png = finding.png
        if not png.name.startswith(self.report.prefix):
            return  # the prefix reaches into the suffix: its source may be outside of what is swept
        self.report.count("outdated_pngs" if finding.outdated else "orphaned_pngs", png.name)
        wanted = finding.outdated or self.sweep.settings.sweep_delete_orphans
        if not wanted or not png.source or self.report.dry_run:
            return
        # The listings are not of one moment: the image may have come, and been converted, after its place was passed.
        if await self._is_orphan(png):
            with suppress(BlobChangedError, BlobMissingError):  # its source came back and was converted
                await self.sweep.converted.delete(png.name, etag=png.etag)
                self.report.count("deleted_pngs", png.name)

    async def _is_orphan(self, png: Png) -> bool:
        """Whether its source is gone, or has been replaced by a version that is in quarantine."""
        source = await self._source(png)
        if source is None:
            return True
        document = await self.sweep.quarantine.find(source.name)
        return (
            source.etag != png.source_etag
            and document is not None
            and document.metadata.get("source_etag") == source.etag
        )

    async def _source(self, png: Png) -> Listed | None:
        append = self.sweep.settings.naming is Naming.APPEND
        stem = png.name.removesuffix(".png" if append else "png")
        async for page in self.sweep.images.pages(stem):
            for blob in page.blobs:
                if source_label(blob.name) == png.source:
                    return blob
        return None

    async def _flush(self) -> None:
        await self.sweep.inbox.add(self.found, deadline=60.0)
        self.found = []


class _Stream:
    """One listing as a stream of items with one of them in view; the next page is fetched meanwhile."""

    def __init__(
        self,
        *,
        name: str,
        pages: AsyncIterator[Page],
        parse: Callable[[Listed], Image | Png | Document],
        place: StreamPlace,
    ) -> None:
        self.name = name
        self.item: Image | Png | Document | None = None
        self._pages = pages
        self._parse = parse
        self._after = place.after
        self._skip_to = listing_key(place.after)
        """Names up to this one were consumed by an earlier run."""
        self._last = b""
        self._marker = self._next_marker = place.marker
        self._page: Sequence[Listed] = ()
        self._index = 0
        self._ahead: asyncio.Task[Page | None] | None = None
        self._ended = place.ended

    async def advance(self) -> None:
        """Brings the next item into view, or None at the end."""
        if self.item is not None:
            self._after = self.item.name
        self.item = None
        while self._index >= len(self._page) and not self._ended:
            await self._turn()
        if self._index < len(self._page):
            self.item = self._parse(self._page[self._index])
            self._index += 1
            self._check_order(self.item.name)

    def _check_order(self, name: str) -> None:
        place = listing_key(name)
        if place <= self._last:
            raise PermanentError(
                f"the listing of {self.name!r} is not in the order of UTF-16 code units ({name!r} came late): accounts "
                "with a hierarchical namespace list folders first, and cannot be swept as a whole. Sweep by folder."
            )
        self._last = place

    async def _turn(self) -> None:
        page = await (self._ahead or self._fetch())
        self._ahead = None
        self._page, self._index = (), 0
        if page is None:
            self._ended = True
            return
        self._page = page.blobs
        if self._skip_to:
            self._page = [blob for blob in page.blobs if listing_key(blob.name) > self._skip_to]
        self._marker, self._next_marker = self._next_marker, page.marker
        self._ahead = asyncio.get_running_loop().create_task(self._fetch())

    async def _fetch(self) -> Page | None:
        return await anext(self._pages, None)

    @property
    def place(self) -> StreamPlace:
        """Where to go on: the page that is being read, and the last item of it that was consumed."""
        return StreamPlace(marker=self._marker, after=self._after, ended=self._ended and self.item is None)

    async def close(self) -> None:
        """Ends the fetch that is under way."""
        if self._ahead is not None:
            self._ahead.cancel()
            with suppress(asyncio.CancelledError, Exception):  # what it would have said is of no use any more
                await self._ahead


def _image(blob: Listed) -> Image:
    modified = blob.modified.astimezone(UTC).isoformat(timespec="seconds")
    return Image(name=blob.name, etag=blob.etag, size=blob.size, modified=modified)


def _png(blob: Listed) -> Png:
    metadata = blob.metadata
    return Png(
        name=blob.name,
        etag=blob.etag,
        source=metadata.get("source", ""),
        source_etag=metadata.get("source_etag", ""),
    )


def _document(blob: Listed) -> Document:
    return Document(
        name=blob.name,
        etag=blob.etag,
        source_etag=blob.metadata.get("source_etag", ""),
        reason=blob.metadata.get("reason", ""),
    )


def _arrival(image: Image, via: str) -> Arrival:
    return Arrival(
        id=f"{via}-{version_hash(image.name, image.etag):016x}",
        name=image.name,
        etag=image.etag,
        size=image.size,
        time=image.modified,
        via=via,
    )
