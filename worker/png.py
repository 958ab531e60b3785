"""A PNG, written piece by piece: its chunks in their order, around the pixels that `worker.compression` deflates.

PNG, third edition (W3C).
"""

from __future__ import annotations

from collections.abc import Callable

from worker.compression import Deflater, Strips, crc32

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IDAT_LEAST = 1 << 15  # deflated bytes are gathered to chunks of at least this
_COLOUR_TYPES = {"L": 0, "RGB": 2}

Sink = Callable[[bytes], None]


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk: length, kind, body, check."""
    check = crc32(body, crc32(kind, 0))
    return b"".join((len(body).to_bytes(4, "big"), kind, body, check.to_bytes(4, "big")))


def write(strips: Strips, chunks: list[bytes], deflate: Deflater, sink: Sink) -> None:
    """Writes a whole PNG to `sink`. `chunks` are those between IHDR and IDAT, in their order."""
    width, height = strips.size
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, _COLOUR_TYPES[strips.mode], 0, 0, 0))
    sink(b"".join((SIGNATURE, chunk(b"IHDR", header), *chunks)))
    gathered: list[bytes] = []
    size = 0
    for piece in deflate(strips):
        gathered.append(piece)
        size += len(piece)
        if size >= _IDAT_LEAST:
            sink(chunk(b"IDAT", b"".join(gathered)))
            gathered, size = [], 0
    if gathered:
        sink(chunk(b"IDAT", b"".join(gathered)))
    sink(chunk(b"IEND", b""))
