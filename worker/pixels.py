"""Pixels on their way from the decoder to the PNG: turned upright and made RGB a band at a time, never copied whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

Turn = Image.Transpose
Colour = Callable[[Image.Image], Image.Image]

_TURNS = {
    2: Turn.FLIP_LEFT_RIGHT,
    3: Turn.ROTATE_180,
    4: Turn.FLIP_TOP_BOTTOM,
    5: Turn.TRANSPOSE,
    6: Turn.ROTATE_270,
    7: Turn.TRANSVERSE,
    8: Turn.ROTATE_90,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upright:
    """A decoded picture as it should be seen. `orientation` is EXIF's, 1 to 8; `colour` maps a band's colours."""

    picture: Image.Image
    orientation: int
    mode: str
    colour: Colour | None

    @property
    def swapped(self) -> bool:
        """Whether width and height change places."""
        return self.orientation >= 5

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.picture.size
        return (height, width) if self.swapped else (width, height)

    def rows(self, top: int, bottom: int) -> Image.Image:
        """Rows `top` to `bottom` of the upright picture. `top` may be -1: that row is black (zeros)."""
        if top >= 0:
            return self._rows(top, bottom)
        band = Image.new(self.mode, (self.size[0], bottom - top))
        band.paste(self._rows(0, bottom), (0, -top))
        return band

    def _rows(self, top: int, bottom: int) -> Image.Image:
        band = self.picture.crop(self._box(top, bottom))
        turn = _TURNS.get(self.orientation)
        if turn is not None:
            band = band.transpose(turn)
        return self.colour(band) if self.colour else band

    def _box(self, top: int, bottom: int) -> tuple[int, int, int, int]:
        """Where the upright rows lie in the picture as it was stored."""
        width, height = self.picture.size
        if self.orientation in (3, 4):
            return (0, height - bottom, width, height - top)
        if self.orientation in (5, 6):
            return (top, 0, bottom, height)
        if self.orientation in (7, 8):
            return (width - bottom, 0, width - top, height)
        return (0, top, width, bottom)
