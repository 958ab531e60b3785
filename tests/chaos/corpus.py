"""Images to drop: small JPEGs whose pixels tell them apart, files that are none, and names that break parsers."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image


class Content(StrEnum):
    """What a file is."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file to upload."""

    data: bytes
    content: Content


_PARTS = ["100%", "%41", "%2F", " ", "'", '"', "#", "?", "&", "+", "=", ";", "$(x)", "`x`", "*"]
_PARTS += ["é", "e\u0301", "ß", "日本", "😀"]
_SUFFIXES = [".jpg", ".JPG", ".jpeg", ".Jpe", ".jfif"]


def good(rng: random.Random) -> Picture:
    """A JPEG of noise blown up, no two alike: mostly small, one in eight large enough to keep a node busy a while."""
    small = Image.frombytes("RGB", (8, 8), rng.randbytes(192))
    most = 2400 if rng.random() < 0.125 else 400
    size = (rng.randrange(16, most), rng.randrange(16, most))
    mode = rng.choice(["RGB", "RGB", "L"])
    out = io.BytesIO()
    small.convert(mode).resize(size, Image.Resampling.BICUBIC).save(
        out, "JPEG", quality=rng.randrange(60, 96), progressive=rng.random() < 0.3
    )
    return Picture(data=out.getvalue(), content=Content.GOOD)


def bad(rng: random.Random) -> Picture:
    """Nothing that a worker could convert: noise, nothing at all, a cut JPEG, or a PNG by another name."""
    whole = good(rng).data
    png = io.BytesIO()
    Image.new("RGB", (9, 9), (rng.randrange(256), 0, 0)).save(png, "PNG")
    data = rng.choice([rng.randbytes(500), b"", whole[: len(whole) // 3], png.getvalue(), b"\xff\xd8"])
    return Picture(data=data, content=Content.BAD)


def names(rng: random.Random, count: int) -> list[str]:
    """Distinct names that storage allows, one in two of them hostile, and about one in twenty with a rival: another
    name for the same PNG.

    Azurite refuses `..`, turns backslashes round and chokes on control characters: those are tried on the parts alone.
    """
    long = ["l" * 1020 + ".jpg", "é" * 1019 + ".jpeg", "d/" * 200 + "x.jpg"]
    made = dict.fromkeys(long[: max(1, count // 20)])
    while len(made) < count:
        name = _name(rng, len(made))
        made[name] = None
        if rng.random() < 0.05 and len(made) < count:
            made[_rival(rng, name)] = None
    return list(made)


def _rival(rng: random.Random, name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}{rng.choice([other for other in _SUFFIXES if other != '.' + suffix])}"


def _name(rng: random.Random, number: int) -> str:
    suffix = rng.choice(_SUFFIXES)
    if rng.random() < 0.5:
        return f"plain/{number:05d}{suffix}"
    folder = rng.choice(["", "a folder/", ".hidden/", "ü/%20/", "x//"])
    dots = rng.choice(["", ".", "..."])
    return f"{folder}{dots}{number:05d}{''.join(rng.choices(_PARTS, k=rng.randrange(1, 4)))}{suffix}"
