"""A strict reader of PNGs: what pngcheck checks, and more, so that no tool needs to be installed for it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

_SINGLE = {b"IHDR", b"iCCP", b"sRGB", b"pHYs", b"eXIf", b"IEND"}
_BEFORE_PIXELS = {b"iCCP", b"sRGB", b"pHYs", b"eXIf"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    kind: bytes
    body: bytes


def chunks(png: bytes) -> list[Chunk]:
    """The chunks of a PNG, every rule checked that Darkroom's PNGs could break. Raises AssertionError."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n", "signature"
    found: list[Chunk] = []
    at = 8
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        check = int.from_bytes(png[at + 8 + length : at + 12 + length], "big")
        assert len(body) == length, "a chunk is cut off"
        assert check == zlib.crc32(kind + body), f"{kind!r}: check"
        found.append(Chunk(kind=kind, body=body))
        at += 12 + length
    _check_order([chunk.kind for chunk in found])
    _check_pixels(found)
    _ask_pngcheck(png)
    return found


def _check_order(kinds: list[bytes]) -> None:
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    assert all(kinds.count(kind) <= 1 for kind in _SINGLE), "a chunk comes twice"
    assert not (b"iCCP" in kinds and b"sRGB" in kinds), "iCCP and sRGB exclude each other"
    first = kinds.index(b"IDAT")
    last = len(kinds) - 1 - kinds[::-1].index(b"IDAT")
    assert set(kinds[first : last + 1]) == {b"IDAT"}, "the IDAT chunks are not together"
    assert not set(kinds[last:]) & _BEFORE_PIXELS, "a chunk comes after the pixels and must come before"


def _check_pixels(found: list[Chunk]) -> None:
    header = found[0].body
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    assert header[8:] in (bytes((8, 0, 0, 0, 0)), bytes((8, 2, 0, 0, 0)))
    stride = width * (3 if header[9] == 2 else 1) + 1
    inflater = zlib.decompressobj()
    rows = inflater.decompress(b"".join(chunk.body for chunk in found if chunk.kind == b"IDAT"))
    assert inflater.eof, "the zlib stream does not end"
    assert not inflater.unused_data, "bytes after the zlib stream"
    assert len(rows) == stride * height, "the pixels' bytes are too few or too many"
    assert set(rows[::stride]) <= {0, 1, 2, 3, 4}, "an unknown filter"


def _ask_pngcheck(png: bytes) -> None:
    """Debian's pngcheck, where it is installed, must find nothing either."""
    tool = shutil.which("pngcheck")
    if tool is None:
        return
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        Path(file.name).write_bytes(png)
        done = subprocess.run([tool, "-q", file.name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert not done.stdout.strip(), done.stdout
