"""PNG's filters by Pillow's own channel arithmetic, for machines without the compiled library.

PNG, third edition, 9.2.
"""

from __future__ import annotations

from enum import IntEnum

from PIL import Image, ImageChops


class Kind(IntEnum):
    """A filter, by its number in PNG. Of Average and Paeth only `worker.native` knows how."""

    NONE = 0
    SUB = 1
    UP = 2
    AVERAGE = 3
    PAETH = 4


def filtered(band: Image.Image, kind: Kind) -> bytearray:
    """The rows of a band but its first (the row above them), each after the filter's number."""
    picture = _filtered(band, kind)
    # Pillow's raw encoder pads rows to a stride; the padding becomes the next row's number, in one slice assignment.
    stride = picture.width * len(picture.getbands()) + 1
    rows = bytearray((kind,))
    rows += picture.tobytes("raw", picture.mode, stride, 1)
    rows[stride::stride] = bytes((kind,)) * picture.height
    rows.pop()
    return rows


def _filtered(band: Image.Image, kind: Kind) -> Image.Image:
    """Pixels left of the first are zero."""
    width, height = band.size
    here = band.crop((0, 1, width, height))
    if kind is Kind.NONE:
        return here
    if kind is Kind.UP:
        return ImageChops.subtract_modulo(here, band)  # the result has the size of the smaller: no row past the last
    if kind is Kind.SUB:
        return ImageChops.subtract_modulo(here, band.crop((-1, 1, width - 1, height)))
    raise ValueError(f"Pillow's arithmetic has no filter {kind.name}")
