"""Metadata that PNG has a place for: density as pHYs, EXIF as eXIf, XMP as iTXt. Guarded apart from the pixels.

The orientation is applied to the pixels, so it is reset in EXIF and XMP; else viewers that honour it would turn the
picture twice. EXIF is patched in place, byte for byte: offsets inside (maker notes) stay right.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from worker.jpeg import Density
from worker.png import chunk
from worker.reasons import Note

_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x0112, 0x011A, 0x011B, 0x0128
_EXIF_IFD, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0x8769, 0xA002, 0xA003
_MAX_TAGS = 1000
_MAX_DENSITY = 10_000_000  # pixels per metre; 254,000 dpi
_SIZES = {3: 2, 4: 4, 5: 8}
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[1-8]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One entry of an IFD: where its value lies, and its type and count."""

    tag: int
    kind: int
    count: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exif:
    """A TIFF block that could be read: its first IFD and its Exif IFD, by tag."""

    data: bytes
    order: str
    """struct's byte order, `<` or `>`."""
    tags: dict[int, Tag]

    def number(self, tag: int) -> int:
        """A SHORT or LONG value, or 0 where it is missing or of another type."""
        entry = self.tags.get(tag)
        if entry is None or entry.kind not in (3, 4) or entry.count < 1:
            return 0
        form = "H" if entry.kind == 3 else "I"
        return int(struct.unpack_from(self.order + form, self.data, entry.at)[0])

    def ratio(self, tag: int) -> float:
        """A RATIONAL value, or 0 where it is missing, of another type or divided by zero."""
        entry = self.tags.get(tag)
        if entry is None or entry.kind != 5 or entry.count < 1:
            return 0.0
        above, below = struct.unpack_from(self.order + "II", self.data, entry.at)
        return above / below if below else 0.0

    @property
    def orientation(self) -> int:
        """1 to 8; 1 where it is missing or says something else."""
        value = self.number(_ORIENTATION)
        return value if 1 <= value <= 8 else 1

    def upright(self) -> Exif:
        """The same block for the turned pixels: orientation 1, and width and height exchanged where they are."""
        changed = {_ORIENTATION: 1} if _ORIENTATION in self.tags else {}
        if self.orientation >= 5 and _PIXEL_WIDTH in self.tags and _PIXEL_HEIGHT in self.tags:
            changed |= {_PIXEL_WIDTH: self.number(_PIXEL_HEIGHT), _PIXEL_HEIGHT: self.number(_PIXEL_WIDTH)}
        data = bytearray(self.data)
        for tag, value in changed.items():
            entry = self.tags[tag]
            if entry.kind in (3, 4) and (entry.kind == 4 or value < 65536):
                struct.pack_into(self.order + ("H" if entry.kind == 3 else "I"), data, entry.at, value)
        return replace(self, data=bytes(data))


def read_exif(data: bytes) -> Exif | None:
    """The block, or None where it is no TIFF or its first directory cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")
    if not order or len(data) < 14:
        return None
    try:
        tags = {entry.tag: entry for entry in _directory(data, order, struct.unpack_from(order + "I", data, 4)[0])}
    except struct.error:
        return None
    exif = Exif(data=data, order=order, tags=tags)
    try:
        start = exif.number(_EXIF_IFD)
        inner = {entry.tag: entry for entry in _directory(data, order, start)} if start else {}
    except struct.error:
        inner = {}  # the first directory is good: the block stays, as the camera wrote it
    return replace(exif, tags=inner | tags)


def _directory(data: bytes, order: str, start: int) -> Iterator[Tag]:
    if not 8 <= start <= len(data) - 2:
        raise struct.error("a directory outside the block")
    (count,) = struct.unpack_from(order + "H", data, start)
    if count > _MAX_TAGS:
        raise struct.error("a directory of more tags than any camera writes")
    for number in range(count):
        entry = start + 2 + 12 * number
        tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
        size = _SIZES.get(kind, 0) * values
        at = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
        if size and at + size <= len(data):
            yield Tag(tag=tag, kind=kind, count=values, at=at)


def density_chunk(density: Density | None, exif: Exif | None, *, swapped: bool) -> tuple[list[bytes], tuple[Note, ...]]:
    """pHYs from JFIF's density, else from EXIF's resolution. `swapped`: the picture lies on its side no more."""
    found = _jfif_density(density) or _exif_density(exif)
    if found is None:
        odd = density is not None and density.unit not in (0, 1, 2)
        return [], (Note.DENSITY_DROPPED,) if odd else ()
    x, y, unit = found
    if not (1 <= x <= _MAX_DENSITY and 1 <= y <= _MAX_DENSITY):
        return [], (Note.DENSITY_DROPPED,)
    if swapped:
        x, y = y, x
    return [chunk(b"pHYs", struct.pack(">IIB", x, y, unit))], ()


def exif_chunk(exif: Exif) -> bytes:
    """eXIf, upright."""
    return chunk(b"eXIf", exif.upright().data)


def xmp_chunk(packet: bytes) -> bytes | None:
    """iTXt with XMP's keyword, or None where the packet is no UTF-8 or holds a zero byte (iTXt text may not)."""
    text = _XMP_ORIENTATION.sub(rb"\g<1>1", packet.rstrip(b"\0"))
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not text or b"\0" in text:
        return None
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text)


def _jfif_density(density: Density | None) -> tuple[int, int, int] | None:
    if density is None or density.unit not in (0, 1, 2):
        return None
    if density.unit == 0:
        same = density.x == density.y
        return None if same or not density.x or not density.y else (density.x, density.y, 0)
    if not density.x or not density.y:
        return None
    scale = 39.37007874 if density.unit == 1 else 100.0
    return round(density.x * scale), round(density.y * scale), 1


def _exif_density(exif: Exif | None) -> tuple[int, int, int] | None:
    if exif is None:
        return None
    x, y, unit = exif.ratio(_X_RESOLUTION), exif.ratio(_Y_RESOLUTION), exif.number(_UNIT) or 2
    if not x or not y or unit not in (2, 3):
        return None
    scale = 39.37007874 if unit == 2 else 100.0
    return round(x * scale), round(y * scale), 1
