"""Test pictures: different from each other, the same for the same number, about as large as a photo compresses."""

from __future__ import annotations

import io
import random


def picture(number: int, *, seed: int, width: int, height: int) -> bytes:
    """A JPG of `width` x `height` pixels. The same arguments give the same pixels."""
    from PIL import Image, ImageDraw, ImageFilter  # noqa: PLC0415 (only this command draws)

    chance = random.Random(f"{seed}:{number}")  # noqa: S311 (a picture, not a secret)
    small = Image.new("RGB", (8, 6))
    small.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(48)])
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(24):
        x, y = chance.randrange(width), chance.randrange(height)
        reach = chance.randrange(8, max(9, min(width, height) // 4))
        color = tuple(chance.randrange(256) for _ in range(3))
        if chance.random() < 0.5:
            draw.ellipse((x, y, x + reach, y + reach), fill=color)
        else:
            draw.line((x, y, x + reach, y + chance.randrange(-reach, reach)), fill=color, width=3)
    draw.text((10, 10), f"Darkroom test image {number}", fill="white")
    out = io.BytesIO()
    image.filter(ImageFilter.SMOOTH).save(out, "JPEG", quality=85)
    return out.getvalue()


def picture_name(number: int, prefix: str) -> str:
    """The blob's name of the test picture `number` (from 1)."""
    return f"{prefix}image-{number:06}.jpg"
