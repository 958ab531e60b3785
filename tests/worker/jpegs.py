"""JPEGs to test with: the collection under tests/data, and small ones made on the spot."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

from PIL import Image

DATA = Path(__file__).resolve().parents[1] / "data" / "jpeg"


def listed() -> list[tuple[str, str]]:
    """Every file of the collection: (kind, name)."""
    entries = json.loads((DATA / "manifest.json").read_text(encoding="utf-8"))
    return sorted((entry["kind"], entry["name"]) for entry in entries)


def stored(kind: str, name: str) -> bytes:
    """A file of the collection."""
    return (DATA / kind / name).read_bytes()


def collect(out: io.BytesIO) -> Callable[[bytes], None]:
    """A sink for a PNG's pieces."""

    def take(piece: bytes) -> None:
        out.write(piece)

    return take


def picture(size: tuple[int, int] = (97, 61), mode: str = "RGB") -> Image.Image:
    """A picture with something different in every corner and noise in the middle."""
    wide = Image.linear_gradient("L").resize(size)
    bands = [wide, wide.transpose(Image.Transpose.ROTATE_180), Image.effect_noise(size, 60), wide]
    whole = Image.merge("CMYK", bands)
    whole.paste((255, 0, 0, 0), (0, 0, size[0] // 4, size[1] // 4))
    return whole.convert(mode) if mode != "CMYK" else whole


def jpeg(
    size: tuple[int, int] = (97, 61),
    mode: str = "RGB",
    *,
    progressive: bool = False,
    exif: bytes = b"",
    icc: bytes = b"",
    xmp: bytes = b"",
    dpi: tuple[int, int] = (0, 0),
) -> bytes:
    """A JPEG of `picture`."""
    out = io.BytesIO()
    picture(size, mode).save(
        out,
        "JPEG",
        quality=90,
        progressive=progressive,
        exif=exif,
        dpi=dpi,
        **({"icc_profile": icc} if icc else {}),
        **({"xmp": xmp} if xmp else {}),
    )
    return out.getvalue()


def exif(orientation: int = 1, *, order: str = "<", size: tuple[int, int] = (97, 61)) -> bytes:
    """An APP1 body: orientation in the first directory, width and height in the Exif directory."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    first = struct.pack(order + "H", 2)
    first += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    first += struct.pack(order + "HHII", 0x8769, 4, 1, 38)
    first += struct.pack(order + "I", 0)
    inner = struct.pack(order + "H", 2)
    inner += struct.pack(order + "HHII", 0xA002, 4, 1, size[0])
    inner += struct.pack(order + "HHII", 0xA003, 4, 1, size[1])
    inner += struct.pack(order + "I", 0)
    return b"Exif\0\0" + mark + struct.pack(order + "I", 8) + first + inner


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment right after its start."""
    return data[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + data[2:]


def flat(size: tuple[int, int], *, progressive: bool = False) -> bytes:
    """A JPEG of one colour: many pixels, few bytes, soon made."""
    out = io.BytesIO()
    Image.new("RGB", size, (10, 120, 200)).save(out, "JPEG", progressive=progressive)
    return out.getvalue()


def lossless(picture: Image.Image) -> bytes:
    """A grey picture as a lossless JPEG (SOF3, T.81 annex H): each sample as its difference from the one before."""
    width, height = picture.size
    samples = picture.tobytes()
    bits = ""
    for place, sample in enumerate(samples):
        expected = 128 if place == 0 else samples[place - width] if place % width == 0 else samples[place - 1]
        difference = (sample - expected + 128) % 256 - 128
        category = abs(difference).bit_length()
        extra = difference if difference > 0 else difference + (1 << category) - 1
        bits += f"{category:04b}" + (f"{extra:0{category}b}" if category else "")  # every category's code has 4 bits
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    categories = bytes(range(9))
    return b"".join(
        (
            b"\xff\xd8",
            *(b"\xff\xc3", struct.pack(">HBHHB", 11, 8, height, width, 1), b"\x01\x11\x00"),
            *(b"\xff\xc4", struct.pack(">HB", 19 + len(categories), 0), bytes((0, 0, 0, len(categories), *[0] * 12))),
            *(categories, b"\xff\xda", struct.pack(">HB", 8, 1), b"\x01\x00\x01\x00\x00"),
            *(coded, b"\xff\xd9"),
        )
    )
