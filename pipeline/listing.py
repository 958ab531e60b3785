"""The sweep's pure core: three listings, side by side in one order, judged image by image with almost nothing held.

Images, PNGs and quarantine documents arrive in the order in which storage lists names (UTF-16 code units). A PNG's
name sorts after its source's in either naming (shared/naming.py), so an image is held only until the stream of PNGs has
passed the place of its PNG; and a PNG is judged when it comes: what it was made from has been seen by then, or is gone.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from shared.naming import Naming, is_jpeg_name, listing_key, png_name, source_label
from shared.quarantine import NAME_CONFLICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One blob of the images container."""

    name: str
    etag: str
    size: int
    modified: str
    """ISO 8601 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Png:
    """One blob of the converted container. Source and version are empty where it was not made by Darkroom."""

    name: str
    etag: str
    source: str
    """`source_label` of the image that it was made from."""
    source_etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One blob of the quarantine container."""

    name: str
    etag: str
    source_etag: str
    reason: str = ""


class State(StrEnum):
    """What a sweep says of an image."""

    CURRENT = "current"  # its PNG is there, made from this version
    MISSING = "missing"  # there is no PNG of it
    STALE = "stale"  # its PNG is of an older version
    QUARANTINED = "quarantined"  # there is a document for this version
    CONFLICT = "conflict"  # another image, which is still there, has the PNG of that name
    IGNORED = "ignored"  # its name is no JPG's


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An image and what is to be said of it."""

    image: Image
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedPng:
    """A PNG that nothing will replace: its source is gone, or is now a version that is in quarantine."""

    png: Png
    outdated: bool = False
    """Its source is there, as another version, in quarantine: what the PNG shows is not what is in the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdatedDocument:
    """A quarantine document for a version that is not in the container any more, or that has its PNG now."""

    document: Document
    answered: bool = False
    """The version that it speaks of has its PNG: the document is wrong now, whatever is in the container."""


Finding = Judged | OrphanedPng | OutdatedDocument


@dataclass(kw_only=True)
class Join:
    """Feed it the three listings merged into one order (`sort_key`); each call yields what can be said by then."""

    naming: Naming
    held: dict[str, list[tuple[Image, Document | None]]] = field(default_factory=dict)
    """Images whose PNG's place has not been passed, by the PNG's name."""
    _places: list[tuple[bytes, str]] = field(default_factory=list)
    _document: Document | None = None

    def take(self, item: Image | Png | Document) -> Iterator[Finding]:
        """The next item of the merged order, and all findings that it settles."""
        place = listing_key(item.name)
        if self._document is not None and self._document.name != item.name:
            yield OutdatedDocument(document=self._document)  # its image is gone
            self._document = None
        yield from self._pass(place)
        match item:
            case Document():
                self._document = item
            case Image():
                yield from self._hold(item)
            case Png():
                yield from self._judge(self.held.pop(item.name, []), item)

    def end(self) -> Iterator[Finding]:
        """All listings have ended: what was held has no PNG."""
        if self._document is not None:
            yield OutdatedDocument(document=self._document)
            self._document = None
        while self._places:
            _, name = heapq.heappop(self._places)
            yield from self._judge(self.held.pop(name, []), None)

    def resume(self, held: list[tuple[Image, Document | None]]) -> None:
        """Goes on with images that an earlier run held."""
        for image, document in held:
            self._keep(image, document)

    def _hold(self, image: Image) -> Iterator[Finding]:
        document, self._document = self._document, None
        if is_jpeg_name(image.name):
            self._keep(image, document)
        else:
            yield Judged(image=image, state=State.IGNORED)

    def _keep(self, image: Image, document: Document | None) -> None:
        png = png_name(image.name, self.naming)
        if png not in self.held:
            heapq.heappush(self._places, (listing_key(png), png))
        self.held.setdefault(png, []).append((image, document))

    def _pass(self, place: bytes) -> Iterator[Finding]:
        while self._places and self._places[0][0] < place:
            _, name = heapq.heappop(self._places)
            yield from self._judge(self.held.pop(name, []), None)

    def _judge(self, images: list[tuple[Image, Document | None]], png: Png | None) -> Iterator[Finding]:
        labels = {source_label(image.name) for image, _ in images}
        orphaned = png is not None
        for image, document in images:
            state = _state(image, document, png, owner_is_there=png is not None and png.source in labels)
            if document is not None and (state is State.CURRENT or document.source_etag != image.etag):
                answered = state is State.CURRENT and document.source_etag == image.etag
                yield OutdatedDocument(document=document, answered=answered)
            orphaned = orphaned and state is State.QUARANTINED
            yield Judged(image=image, state=state)
        if png is not None and orphaned:
            yield OrphanedPng(png=png, outdated=png.source in labels)


def sort_key(item: Image | Png | Document) -> tuple[bytes, bool]:
    """Merges the three listings: by name, and a quarantine document before the image of the same name."""
    return listing_key(item.name), not isinstance(item, Document)


def _state(image: Image, document: Document | None, png: Png | None, *, owner_is_there: bool) -> State:
    mine = png is not None and png.source == source_label(image.name)
    if png is not None and mine and png.source_etag == image.etag:
        return State.CURRENT
    if document is not None and document.source_etag == image.etag:
        # A conflict of names is over when the other image is gone: then this one may have the name.
        over = document.reason == NAME_CONFLICT and not owner_is_there
        return State.MISSING if over else State.QUARANTINED
    if mine:
        return State.STALE
    return State.CONFLICT if owner_is_there else State.MISSING
