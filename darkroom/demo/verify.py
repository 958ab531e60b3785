"""The proof: every PNG holds exactly the pixels of its source, as Pillow decodes it."""

from __future__ import annotations

import io

from darkroom.connection import Connection
from darkroom.demo.ledger import Ledger, Place
from shared.naming import png_name


def same_pixels(jpeg: bytes, png: bytes) -> bool:
    """Whether both show the same picture, pixel by pixel."""
    from PIL import Image, ImageChops  # noqa: PLC0415 (only here)

    with Image.open(io.BytesIO(jpeg)) as source, Image.open(io.BytesIO(png)) as result:
        if result.format != "PNG" or source.size != result.size or source.mode != result.mode:
            return False
        return ImageChops.difference(source, result).getbbox() is None


async def wrong_pngs(connection: Connection, ledger: Ledger) -> list[str]:
    """A sentence for each PNG that is not its source's picture."""
    container = await connection.container(connection.settings.storage.converted)
    wrong = []
    for name, place in ledger.places.items():
        if place is not Place.CONVERTED:
            continue
        version, _ = ledger.versions[name]
        png = await (await container.download_blob(png_name(name, ledger.naming))).readall()
        if not same_pixels(ledger.subjects[name].data(version), png):
            wrong.append(f"the PNG of {name} does not show version {version} of it")
    return wrong
