"""A JPEG's structure: its frame, its metadata segments, its scans and its end, read without decoding a pixel.

ITU-T T.81 (markers, frames, scans), JFIF 1.02 (density), CIPA DC-008 (Exif), ICC.1 B.4 (profile chunks), XMP part 3.
`read_frame` looks at the headers only and is cheap enough for the process that does the input and output;
`read_structure` walks the whole file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from worker.reasons import Reason, RejectedError
from worker.sniffing import describe

SOI, EOI, SOS, DHT, DNL, APP0 = 0xD8, 0xD9, 0xDA, 0xC4, 0xDC, 0xE0
_FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a fixed first byte: found 18 times as fast
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_ICC = b"ICC_PROFILE\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the frame header says."""

    width: int
    height: int
    components: int
    precision: int
    """Bits a sample."""
    progressive: bool
    arithmetic: bool
    lossless: bool
    hierarchical: bool
    blocks: int
    """8 x 8 blocks of all components together."""

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """JFIF's pixel density. `unit`: 0 an aspect ratio, 1 per inch, 2 per centimetre."""

    unit: int
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What the whole file holds beside its pixels."""

    frame: Frame
    scans: int
    complete: bool
    """The end marker was found after the last scan."""
    stray_marker: int
    """A marker amid the pixels that cannot stand there, or 0: the file is damaged."""
    pixels_at: int
    """Where the first scan's coded pixels begin."""
    zeros_are_pixels: bool
    """Whether, with the file's Huffman tables, an endless run of zero bits would be coefficients, not empty blocks.

    One AC table that says so is enough where all components share one scan."""
    end: int
    """Where the picture ends: the byte after its end marker, or the file's length."""
    density: Density | None
    exif: bytes
    """The TIFF block of APP1, without `Exif\\0\\0`; empty where there is none."""
    xmp: bytes
    xmp_extended: bool
    icc: bytes
    """The profile, its chunks joined; empty where there is none or a chunk is missing."""
    icc_broken: bool


@dataclass(slots=True)
class _Segments:
    """What is gathered while the segments go by."""

    frame: Frame | None = None
    density: Density | None = None
    exif: bytes = b""
    xmp: bytes = b""
    xmp_extended: bool = False
    icc_total: int = 0
    icc_chunks: dict[int, bytes] | None = None
    icc_broken: bool = False
    zeros_are_pixels: bool = False

    def take(self, marker: int, body: bytes) -> None:
        if marker in _FRAMES and self.frame is None:
            self.frame = _frame(marker, body)
        elif marker == DHT:
            self.zeros_are_pixels |= _zeros_are_coefficients(body)
        elif marker == APP0 and body[:5] == b"JFIF\0" and len(body) >= 12:
            self.density = Density(unit=body[7], x=_u16(body, 8), y=_u16(body, 10))
        elif marker == APP0 + 1:
            self._take_app1(body)
        elif marker == APP0 + 2 and body.startswith(_ICC) and len(body) >= 14:
            self._take_icc(body)

    def _take_app1(self, body: bytes) -> None:
        if body.startswith(_EXIF):
            self.exif += body[6:]  # an Exif block over 64 KB goes on in the next APP1
        elif body.startswith(_XMP) and not self.xmp:
            self.xmp = body[len(_XMP) :]
        elif body.startswith(_XMP_EXTENSION):
            self.xmp_extended = True

    def _take_icc(self, body: bytes) -> None:
        number, total = body[12], body[13]
        chunks = self.icc_chunks = self.icc_chunks or {}
        if number in chunks or (self.icc_total and total != self.icc_total):
            self.icc_broken = True
        self.icc_total = total
        chunks[number] = body[14:]

    def icc(self) -> tuple[bytes, bool]:
        """The joined profile and whether something of it was wrong."""
        chunks = self.icc_chunks
        if chunks is None:
            return b"", False
        if self.icc_broken or sorted(chunks) != list(range(1, self.icc_total + 1)):
            return b"", True
        return b"".join(chunks[number] for number in sorted(chunks)), False


def read_frame(data: bytes) -> Frame:
    """The frame header of a JPEG. Raises RejectedError where `data` is no JPEG, or of a kind that is not decoded."""
    _expect_jpeg(data)
    position = 2
    while True:
        marker, position = _next_marker(data, position)
        if marker == 0:
            raise RejectedError(Reason.TRUNCATED, found="it ends within its headers")
        if marker in (SOS, EOI):
            raise RejectedError(Reason.DAMAGED, found="it has no frame header, so no picture")
        if marker in _STANDALONE or marker == SOI:
            continue
        body, position = _segment(data, position)
        if marker in _FRAMES:
            return _supported(_frame(marker, body))


def read_structure(data: bytes) -> Structure:
    """The structure of a JPEG that `read_frame` accepted. Raises RejectedError where there is no picture at all."""
    _expect_jpeg(data)
    seen = _Segments()
    position, scans, stray, complete, pixels_at = 2, 0, 0, False, 0
    while True:
        marker, position = _next_marker(data, position)
        if marker == 0:
            break
        if marker == EOI:
            complete = scans > 0
            break
        if marker in _STANDALONE or marker == SOI:
            continue
        if scans and not stray and not _may_follow_scan(marker):
            stray = marker
        body, position = _segment(data, position)
        if marker == SOS:
            scans += 1
            pixels_at = pixels_at or position
            position = _end_of_scan(data, position)
        else:
            seen.take(marker, body)
    if seen.frame is None:
        raise RejectedError(Reason.DAMAGED, found="it has no frame header, so no picture")
    icc, icc_broken = seen.icc()
    return Structure(
        frame=seen.frame,
        scans=scans,
        complete=complete,
        stray_marker=stray,
        pixels_at=pixels_at,
        zeros_are_pixels=seen.zeros_are_pixels and scans == 1,
        end=min(position, len(data)),
        density=seen.density,
        exif=seen.exif,
        xmp=seen.xmp,
        xmp_extended=seen.xmp_extended,
        icc=icc,
        icc_broken=icc_broken,
    )


def without_metadata(data: bytes) -> bytes:
    """The same picture without the segments that no decoder of pixels needs: APP1 to APP13, APP15, comments.

    APP0 and APP14 stay: they say which colours the components are.
    """
    kept, position = [data[:2]], 2
    while True:
        start = position
        marker, position = _next_marker(data, position)
        if marker in (0, SOS, EOI):
            return b"".join([*kept, data[start:]])
        if marker not in _STANDALONE and marker != SOI:
            _, position = _segment(data, position)
        if marker != 0xFE and not (APP0 < marker <= APP0 + 15 and marker != APP0 + 14):
            kept.append(data[start:position])


def least_bytes(frame: Frame) -> int:
    """The fewest bytes that the pixels of such a frame can take.

    Huffman coding spends a bit at least on each block's first coefficient, and sequential coding one more on its end.
    """
    if frame.arithmetic or frame.lossless:
        return 0
    return frame.blocks * (1 if frame.progressive else 2) // 8


def _expect_jpeg(data: bytes) -> None:
    if not data:
        raise RejectedError(Reason.EMPTY)
    if len(data) < 3 and b"\xff\xd8".startswith(data):
        raise RejectedError(Reason.TRUNCATED, found=f"it has {len(data)} of a JPEG's bytes")
    if data[:2] != b"\xff\xd8":
        raise RejectedError(Reason.NOT_A_JPEG, found=describe(data))


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """The next marker's code and the position after it; code 0 at the end of the data. Others are passed over."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0:
            return 0, len(data)
        while position < len(data) and data[position] == 0xFF:
            position += 1
        if position >= len(data):
            return 0, len(data)
        if data[position] != 0:
            return data[position], position + 1


def _segment(data: bytes, position: int) -> tuple[bytes, int]:
    """A segment's body and the position after it. A length that is no length gives an empty body."""
    if position + 2 > len(data):
        return b"", len(data)
    length = _u16(data, position)
    if length < 2:
        return b"", position + 2
    return data[position + 2 : position + length], position + length


def _end_of_scan(data: bytes, position: int) -> int:
    found = _MARKER_IN_SCAN.search(data, position)
    return found.start() if found else len(data)


def _zeros_are_coefficients(tables: bytes) -> bool:
    """Whether a DHT segment has an AC table whose all-zero code is a coefficient, not the end of a block."""
    position = 0
    while position + 17 <= len(tables):
        lengths = tables[position + 1 : position + 17]
        first = position + 17
        if tables[position] >> 4 == 1 and first < len(tables) and tables[first] & 15:
            return True  # codes are given out in order, so the first symbol's is the all-zero one
        position = first + sum(lengths)
    return False


def _may_follow_scan(marker: int) -> bool:
    """Whether a marker can stand between scans: tables, DNL, application data, comments, the next scan."""
    return marker in (DHT, 0xCC, SOS, 0xDB, DNL, 0xDD, 0xFE) or APP0 <= marker <= APP0 + 15


def _frame(marker: int, body: bytes) -> Frame:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise RejectedError(Reason.TRUNCATED, found="its frame header is incomplete")
    precision, height, width, components = body[0], _u16(body, 1), _u16(body, 3), body[5]
    factors = [(byte >> 4, byte & 15) for byte in body[7 : 6 + 3 * components : 3]]
    across, down = max((h for h, _ in factors), default=1) or 1, max((v for _, v in factors), default=1) or 1
    blocks = sum(_blocks(width * h, height * v, across, down) for h, v in factors)
    return Frame(
        width=width,
        height=height,
        components=components,
        precision=precision,
        progressive=marker in _PROGRESSIVE,
        arithmetic=marker in _ARITHMETIC,
        lossless=marker in _LOSSLESS,
        hierarchical=marker in _HIERARCHICAL,
        blocks=blocks,
    )


def _blocks(width: int, height: int, across: int, down: int) -> int:
    """The 8 x 8 blocks of a component whose samples are `width`/`across` by `height`/`down`, padding left out."""
    return -(-width // (8 * across)) * -(-height // (8 * down))


def _supported(frame: Frame) -> Frame:
    if not frame.pixels:
        raise RejectedError(Reason.UNSUPPORTED, found=f"its frame is {frame.width} x {frame.height} pixels")
    if frame.precision != 8:
        raise RejectedError(Reason.UNSUPPORTED, found=f"{frame.precision} bits a sample; 8 are supported")
    if frame.components not in (1, 3, 4):
        raise RejectedError(Reason.UNSUPPORTED, found=f"{frame.components} components; 1, 3 or 4 are supported")
    if frame.hierarchical:
        raise RejectedError(Reason.UNSUPPORTED, found="hierarchical coding")
    return frame


def _u16(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "big")
