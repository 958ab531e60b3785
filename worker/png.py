"""A PNG, written piece by piece: chunks in their order, pixels filtered and deflated strip by strip.

PNG, third edition (W3C). Filtering is done with Pillow's own channel arithmetic and deflating with ISA-L where it is
installed (zlib where not), so the interpreter lock is free most of the time and no copy of the whole picture is made.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from PIL import Image, ImageChops

from shared.worker_settings import Profile

_isal: ModuleType | None
try:
    from isal import isal_zlib as _isal
except ImportError:  # no wheel for this platform: the same pixels, more slowly
    _isal = None

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STRIP_PIXELS = 1 << 18
"""Pixels filtered and deflated at a time: 1 MB as Pillow holds them, which stays in a core's second-level cache."""
_SAMPLE = 64  # a strip's filter is chosen on one row in so many
_IDAT_LEAST = 1 << 15  # deflated bytes are gathered to chunks of at least this
_NONE, _SUB, _UP, _AVERAGE = 0, 1, 2, 3
_COLOUR_TYPES = {"L": 0, "RGB": 2}

_crc32: Callable[[bytes, int], int] = zlib.crc32 if _isal is None else _isal.crc32
"""ISA-L's is several times as fast; each byte of the PNG goes through it."""

Sink = Callable[[bytes], None]


class Compressor(Protocol):
    """zlib's compressobj and its kin."""

    def compress(self, data: bytes | bytearray | memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Strips(Protocol):
    """Pixels, a band of rows at a time."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def mode(self) -> str: ...
    def rows(self, top: int, bottom: int) -> Image.Image:
        """Rows `top` (one above the first is black) to `bottom`, at full width."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How a profile deflates. `candidates` are tried on a sample of each strip; the smallest result is taken."""

    compressor: Callable[[], Compressor]
    sample: Callable[[bytes], bytes]
    candidates: tuple[int, ...]


def tuning(profile: Profile) -> Tuning:
    """What the numbers in docs/performance.md led to."""
    if profile is Profile.SIZE:
        return Tuning(
            compressor=lambda: zlib.compressobj(8, zlib.DEFLATED, 15, 9),
            sample=lambda data: zlib.compress(data, 6),
            candidates=(_UP, _NONE, _SUB, _AVERAGE),
        )
    if _isal is not None:
        module = _isal
        return Tuning(
            compressor=lambda: module.compressobj(2),
            sample=lambda data: module.compress(data, 2),
            candidates=(_UP, _NONE, _SUB),
        )
    return Tuning(
        compressor=lambda: zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE),
        sample=lambda data: zlib.compress(data, 1),
        candidates=(_UP, _SUB),
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk: length, kind, body, check."""
    check = _crc32(body, _crc32(kind, 0))
    return b"".join((len(body).to_bytes(4, "big"), kind, body, check.to_bytes(4, "big")))


def write(strips: Strips, chunks: list[bytes], how: Tuning, sink: Sink) -> None:
    """Writes a whole PNG to `sink`. `chunks` are those between IHDR and IDAT, in their order."""
    width, height = strips.size
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, _COLOUR_TYPES[strips.mode], 0, 0, 0))
    sink(b"".join((SIGNATURE, chunk(b"IHDR", header), *chunks)))
    gathered: list[bytes] = []
    size = 0
    for piece in _deflated(strips, how):
        gathered.append(piece)
        size += len(piece)
        if size >= _IDAT_LEAST:
            sink(chunk(b"IDAT", b"".join(gathered)))
            gathered, size = [], 0
    if gathered:
        sink(chunk(b"IDAT", b"".join(gathered)))
    sink(chunk(b"IEND", b""))


def _deflated(strips: Strips, how: Tuning) -> Iterator[bytes]:
    """The zlib stream of the filtered rows, in pieces."""
    compressor = how.compressor()
    width, height = strips.size
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(height, top + step)
        # One row above the strip comes along, for the filters that look up; above the first row PNG has zeros.
        band = strips.rows(top - 1, bottom)
        kind = _choose(band, how)
        yield compressor.compress(bytes((kind,)))
        yield compressor.compress(memoryview(_rows(_filtered(band, kind, 1, bottom - top + 1), kind))[:-1])
    yield compressor.flush()


def _choose(band: Image.Image, how: Tuning) -> int:
    """The filter whose result deflates best on a sample from the middle of the band."""
    rows = band.height - 1
    count = max(1, rows // _SAMPLE)
    top = 1 + (rows - count) // 2
    best, least = how.candidates[0], -1
    for kind in how.candidates:
        size = len(how.sample(_filtered(band, kind, top, top + count).tobytes()))
        if least < 0 or size < least:
            best, least = kind, size
    return best


def _filtered(band: Image.Image, kind: int, top: int, bottom: int) -> Image.Image:
    """Rows `top` to `bottom` of a band through one of PNG's filters. Pixels left of the first are zero."""
    width = band.width
    here = band.crop((0, top, width, bottom))
    if kind == _NONE:
        return here
    if kind == _UP:
        # The result has the size of the smaller operand: where the rows above begin the band, they need no copy.
        above = band if top == 1 else band.crop((0, top - 1, width, bottom - 1))
        return ImageChops.subtract_modulo(here, above)
    left = band.crop((-1, top, width - 1, bottom))
    if kind == _SUB:
        return ImageChops.subtract_modulo(here, left)
    above = band.crop((0, top - 1, width, bottom - 1))
    return ImageChops.subtract_modulo(here, ImageChops.add(left, above, 2.0))  # rounds down, as PNG's Average does


def _rows(filtered: Image.Image, kind: int) -> bytearray:
    """The rows' bytes, each followed by the filter byte of the next row (the last one's is the caller's to drop).

    Pillow's raw encoder pads rows to a stride; the padding is where the filter bytes go, in one slice assignment.
    """
    stride = filtered.width * len(filtered.getbands()) + 1
    data = bytearray(filtered.tobytes("raw", filtered.mode, stride, 1))
    data[stride - 1 :: stride] = bytes((kind,)) * filtered.height
    return data
