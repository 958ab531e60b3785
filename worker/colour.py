"""Colour: which ICC profiles go along, which are applied, which are left out."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

from PIL import Image, ImageCms

from worker.pixels import Colour
from worker.png import chunk
from worker.reasons import Note

_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_D50 = bytes.fromhex("0000f6d6 00010000 0000d32d")
# Hewlett-Packard's sRGB IEC61966-2.1 of 1998, in both of its intents, by Adler-32 and CRC-32. Most sRGB JPEGs carry it,
# and libpng warns of it ("known incorrect sRGB profile"): PNG has the sRGB chunk, which says the same rightly.
_HP_SRGB = {(0xF784F3FB, 0x182EA552): 0, (0x0398F3FC, 0xF29E526D): 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What happens to a picture's colours: the PNG's mode, its colour chunks, and how bands are mapped (None: not)."""

    mode: str
    chunks: list[bytes]
    colour: Colour | None
    notes: tuple[Note, ...]


def treat(mode: str, profile: bytes, *, broken: bool) -> Treatment:
    """What to do with a picture of Pillow's mode `mode` (RGB, L, CMYK) and the file's ICC profile (may be empty)."""
    if mode == "CMYK":
        return _from_cmyk(profile, broken=broken)
    if not profile:
        return Treatment(mode=mode, chunks=[], colour=None, notes=(Note.ICC_DROPPED,) if broken else ())
    intent = _HP_SRGB.get((zlib.adler32(profile), zlib.crc32(profile)))
    if intent is not None and mode == "RGB":
        return Treatment(mode=mode, chunks=[srgb(intent)], colour=None, notes=(Note.ICC_AS_SRGB,))
    if not describes(profile, mode):
        return Treatment(mode=mode, chunks=[], colour=None, notes=(Note.ICC_DROPPED,))
    return Treatment(mode=mode, chunks=[iccp(profile)], colour=None, notes=())


def describes(profile: bytes, mode: str) -> bool:
    """Whether a profile is sound enough for every PNG reader and describes pixels of `mode`.

    The checks are those of libpng's png_icc_check_header and _tag_table, which refuses or warns of the others.
    """
    if len(profile) < 132 or int.from_bytes(profile[:4], "big") != len(profile) or profile[36:40] != b"acsp":
        return False
    if profile[16:20] != _SPACES[mode] or profile[12:16] not in _CLASSES or profile[20:24] not in (b"XYZ ", b"Lab "):
        return False
    if len(profile) % 4 and profile[8] > 3:
        return False
    if int.from_bytes(profile[64:68], "big") > 3 or profile[68:80] != _D50:
        return False
    tags = int.from_bytes(profile[128:132], "big")
    if len(profile) < 132 + 12 * tags:
        return False
    for start in range(132, 132 + 12 * tags, 12):
        offset, size = (int.from_bytes(profile[at : at + 4], "big") for at in (start + 4, start + 8))
        if offset + size > len(profile) or offset % 4:
            return False
    return True


def iccp(profile: bytes) -> bytes:
    """The iCCP chunk of a profile."""
    return chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile, 9))


def srgb(intent: int) -> bytes:
    """The sRGB chunk: 0 perceptual, 1 relative colorimetric, 2 saturation, 3 absolute colorimetric."""
    return chunk(b"sRGB", bytes((intent,)))


def _from_cmyk(profile: bytes, *, broken: bool) -> Treatment:
    """CMYK becomes sRGB through the embedded profile, or plain RGB by arithmetic where there is no usable one."""
    transform = _transform(profile) if profile else None
    if transform is None:
        notes = (Note.CMYK_PLAIN, Note.ICC_DROPPED) if profile or broken else (Note.CMYK_PLAIN,)
        return Treatment(mode="RGB", chunks=[], colour=_plain, notes=notes)

    def apply(band: Image.Image) -> Image.Image:
        result = ImageCms.applyTransform(band, transform)
        if result is None:
            raise OSError("the colour transform gave no picture")
        return result

    return Treatment(mode="RGB", chunks=[srgb(0)], colour=apply, notes=(Note.ICC_APPLIED,))


def _plain(band: Image.Image) -> Image.Image:
    return band.convert("RGB")


def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    if profile[16:20] != _SPACES["CMYK"]:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), "CMYK", "RGB", ImageCms.Intent.PERCEPTUAL
        )
    except (ImageCms.PyCMSError, OSError):
        return None
