"""A picture as the zlib stream inside a PNG: photographs strip by strip, drawn pictures at once. RFC 1950 and 1951.

A strip goes the way that comes out smallest on a sample of it. A way is a filter and a coder: most want Huffman codes
and little else (`worker.native`), some, like smooth skies, a match search (ISA-L). What was drawn, like pages of text,
repeats itself over many rows: there a thorough match search (libdeflate) is worth its time.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Protocol, TypeVar

from PIL import Image

from shared.worker_settings import Profile
from worker import native
from worker.filters import Kind, filtered

_isal: ModuleType | None
try:
    from isal import isal_zlib as _isal
except ImportError:  # no wheel for this platform
    _isal = None
_libdeflate: ModuleType | None
try:
    import deflate as _libdeflate
except ImportError:
    _libdeflate = None

STRIP_PIXELS = 1 << 18
"""Pixels filtered and deflated at a time: 1 MB as Pillow holds them, which stays in a core's second-level cache."""
_SAMPLE = 64  # a strip's way is chosen on one row in so many
_RAW = -15  # zlib's word for deflate without a header, with its largest window
_ADAPTIVE = 1 << Kind.UP | 1 << Kind.PAETH  # Sub and Average would win 0.5 % for half of the filters' time
_PLAIN = 1 << Kind.NONE
_LOOKS = 8  # strips on whose samples it is decided whether a picture was drawn
_DRAWN = 1.1  # times the bytes of its filtered rows, at most: 0.6 to 1.0 for pages, 1.4 to 2.2 for photographs
_REPEATED = 0.25  # of the bytes of its pixels, at most: 0.1 for pages; noise is as small without a filter, too
_QUICK, _THOROUGH = 4, 10  # libdeflate's levels: 4 is as fast as 2 and 3; 10 weighs all ways to say a thing
_QUICKER = 1.1  # runs take a third of the time of a match search: preferred up to this many times its bytes

_adler32: Callable[[bytes | bytearray, int], int] = zlib.adler32 if _isal is None else _isal.adler32
crc32: Callable[[bytes, int], int] = zlib.crc32 if _isal is None else _isal.crc32
"""ISA-L's checks are several times as fast; each filtered byte goes through the one, each byte of the PNG the other."""


class Compressor(Protocol):
    """zlib's compressobj and its kin."""

    def compress(self, data: bytes | bytearray | memoryview, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


class Strips(Protocol):
    """Pixels, a band of rows at a time."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def mode(self) -> str: ...
    def rows(self, top: int, bottom: int) -> Image.Image:
        """Rows `top` (one above the first is black) to `bottom`, at full width."""
        ...


@dataclass(slots=True)
class Bits:
    """Where a deflate stream stands between two bytes: fewer than 8 bits that wait, the first one lowest."""

    waiting: int = 0
    count: int = 0

    def align(self) -> bytes:
        """Brings the stream to a whole byte: with an empty stored block, where bits wait."""
        if not self.count:
            return b""
        header = self._take(0, 3)  # not the last, stored; the rest of its last byte is skipped
        return header + b"\x00\x00\xff\xff"

    def end(self) -> bytes:
        """An empty last block, of fixed codes."""
        return self._take(0b0000000_01_1, 10)

    def _take(self, value: int, length: int) -> bytes:
        whole = (self.waiting | value << self.count).to_bytes((self.count + length + 7) // 8, "little")
        self.waiting = self.count = 0
        return whole


Filter = Callable[[Image.Image], bytearray]
"""The rows of a band but its first (the row above), filtered, each after its filter's number."""
Coder = Callable[[bytearray, Bits], bytes]
"""Whole bytes of deflate blocks of which none is the last; what is left waits in the bits."""
Size = Callable[[bytearray], int]
"""How many bytes that will be, of a sample's rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtering:
    """One way to filter a strip."""

    filter: Filter
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Way(Filtering):
    """One way from a strip's pixels to deflated bytes."""

    code: Coder


Chosen = TypeVar("Chosen", bound=Filtering)
Deflater = Callable[[Strips], Iterator[bytes]]
"""Makes the zlib stream of a picture's filtered rows, in pieces."""


def deflater(profile: Profile, library: native.Library | None) -> Deflater:
    """What the numbers in docs/performance.md led to. `library` is the compiled part, where there is one."""
    if library is None:
        filters: tuple[Filter, ...] = tuple(partial(filtered, kind=kind) for kind in (Kind.UP, Kind.NONE, Kind.SUB))
    else:
        filters = (partial(library.filter, kinds=_ADAPTIVE), partial(library.filter, kinds=_PLAIN))
    if profile is Profile.SIZE:
        choices = tuple(Filtering(filter=one, size=_thorough_size) for one in filters)
        return partial(_at_once, choices, deflate=_smallest)
    ways = tuple(Way(filter=one, size=_matched_size, code=_matches) for one in filters)
    filtered_way, plain_way, *_ = ways
    if library is not None:
        runs = Way(filter=filters[0], size=partial(_runs_size, library), code=partial(_runs, library))
        ways = (runs, *ways)
    return partial(_by_kind, ways, filtered_way, plain_way)


def _by_kind(ways: Sequence[Way], filtered_way: Way, plain_way: Way, strips: Strips) -> Iterator[bytes]:
    """Drawn or photographed."""
    if _drawn(filtered_way, plain_way, strips):
        return _at_once((plain_way, filtered_way), strips, deflate=_quickly)
    return _in_strips(ways, strips)


def _drawn(filtered_way: Way, plain_way: Way, strips: Strips) -> bool:
    """Whether a picture repeats itself, and is about as small without a filter: photographs want filters."""
    spans = _spans(strips)
    middles = [_middle(*span) for span in spans[:: math.ceil(len(spans) / _LOOKS)]]
    looks = [strips.rows(first - 1, last) for first, last in middles]
    unfiltered = [plain_way.filter(look) for look in looks]
    plain = sum(map(plain_way.size, unfiltered))
    if plain > _REPEATED * sum(map(len, unfiltered)):
        return False
    return plain <= _DRAWN * sum(filtered_way.size(filtered_way.filter(look)) for look in looks)


def _in_strips(ways: Sequence[Way], strips: Strips) -> Iterator[bytes]:
    """Each strip in its own way; memory is bounded by a strip."""
    yield b"\x78\x01"
    check, bits = 1, Bits()
    for band in _bands(strips):
        way = _choose(band, ways)
        rows = way.filter(band)
        check = _adler32(rows, check)
        yield way.code(rows, bits)
    yield bits.end() + check.to_bytes(4, "big")


def _at_once(
    filterings: Sequence[Filtering], strips: Strips, *, deflate: Callable[[bytearray], bytes]
) -> Iterator[bytes]:
    """All rows together, each strip's filtered in its own way: takes three bytes a pixel, and is smaller."""
    rows = bytearray()
    for band in _bands(strips):
        rows += _choose(band, filterings).filter(band)
    yield deflate(rows)


def _bands(strips: Strips) -> Iterator[Image.Image]:
    """Each strip's rows after the row above it, which filters look up to; above the first row PNG has zeros."""
    for top, bottom in _spans(strips):
        yield strips.rows(top - 1, bottom)


def _spans(strips: Strips) -> list[tuple[int, int]]:
    """The first row of each strip, and the one after its last."""
    width, height = strips.size
    step = max(1, STRIP_PIXELS // width)
    return [(top, min(height, top + step)) for top in range(0, height, step)]


def _middle(top: int, bottom: int) -> tuple[int, int]:
    """The rows of a sample."""
    count = max(2, (bottom - top) // _SAMPLE)  # two at the least: some matches are with the row above
    first = top + max(0, bottom - top - count) // 2
    return first, min(bottom, first + count)


def _choose(band: Image.Image, ways: Sequence[Chosen]) -> Chosen:
    """The way that comes out smallest on a sample of the band: tried in order, until one is no better."""
    first, last = _middle(0, band.height - 1)
    sample = band.crop((0, first, band.width, last + 1))
    best, *others = ways
    filtered_by, filtered_rows = best.filter, best.filter(sample)
    least = best.size(filtered_rows)
    for way in others:
        if way.filter is not filtered_by:
            filtered_by, filtered_rows = way.filter, way.filter(sample)
        size = way.size(filtered_rows)
        if size >= least:
            break
        best, least = way, size
    return best


def _runs(library: native.Library, rows: bytearray, bits: Bits) -> bytes:
    whole, bits.waiting, bits.count = library.deflate(rows, bits.waiting, bits.count)
    return whole


def _runs_size(library: native.Library, rows: bytearray) -> int:
    return round(library.deflated_size(rows) / _QUICKER)


def _matches(rows: bytearray, bits: Bits) -> bytes:
    """Level 2 of ISA-L is as fast as its level 1 here and a percent smaller; 3 is slower and no smaller."""
    compressor: Compressor
    if _isal is not None:
        compressor = _isal.compressobj(2, _isal.DEFLATED, _RAW)
    else:
        compressor = zlib.compressobj(1, zlib.DEFLATED, _RAW, 9, zlib.Z_RLE)
    return b"".join((bits.align(), compressor.compress(rows), compressor.flush(zlib.Z_SYNC_FLUSH)))


def _matched_size(rows: bytearray) -> int:
    return len(zlib.compress(rows, 1) if _isal is None else _isal.compress(rows, 2))


def _quickly(rows: bytearray) -> bytes:
    """A whole zlib stream. zlib's level 1 takes longer, and is a tenth larger."""
    return bytes(_libdeflate.zlib_compress(rows, _QUICK)) if _libdeflate is not None else zlib.compress(rows, 1)


def _smallest(rows: bytearray) -> bytes:
    """A whole zlib stream. zlib at its best is 5 % larger."""
    if _libdeflate is not None:
        return bytes(_libdeflate.zlib_compress(rows, _THOROUGH))
    compressor = zlib.compressobj(9, zlib.DEFLATED, 15, 9)
    return compressor.compress(rows) + compressor.flush()


def _thorough_size(rows: bytearray) -> int:
    return len(zlib.compress(rows, 6))
