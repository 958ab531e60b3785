"""The pictures that are measured: photographs, 800 x 600 synthetic images, text-like pages."""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests/data/jpeg"
CACHE = ROOT / "build/bench"
_PACKAGES = {
    "lomiri-wallpapers-16.04": "*_by_*.jpg",  # Debian: photographs of a community contest, CC-BY-SA; 16 MB
    "mate-backgrounds": "nature/*.jpg",  # Debian: photographs that come with a desktop, CC-BY-SA and GPL; 47 MB
}
_PHOTOS = ("good/08.29mp_libvips_ultra-hdr.jpg", "odd/orient_Landscape_1.jpg", "odd/orient_Portrait_3.jpg")
_LARGEST = 8_300_000  # pixels: larger photographs only make Pillow's turn long


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file and its pixels."""

    path: Path
    pixels: int
    progressive: bool
    """Decoding one takes about twice as long."""


def photos() -> list[Picture]:
    """Photographs: those of the repository, and those of Debian packages where they can be had."""
    found = [DATA / name for name in _PHOTOS]
    for package, pattern in _PACKAGES.items():
        found += _debian_photos(package, pattern)
    pictures = [_picture(path) for path in found]
    return [picture for picture in pictures if picture.pixels <= _LARGEST]


def synthetic() -> list[Picture]:
    """800 x 600 images of 29 kB."""
    return [_picture(path) for path in sorted((DATA / "good").glob("synth800_*.jpg"))]


def pages() -> list[Picture]:
    """A page of text at 200 dpi and a screen's picture."""
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / "page.jpg", CACHE / "screen.jpg"
    if not all(path.exists() for path in made):
        _page().save(made[0], quality=85)
        _screen().save(made[1], quality=90)
    return [_picture(path) for path in made]


def megapixels(pictures: list[Picture]) -> float:
    """All of them together."""
    return sum(picture.pixels for picture in pictures) / 1e6


def _picture(path: Path) -> Picture:
    with Image.open(path) as image:
        return Picture(path=path, pixels=image.width * image.height, progressive=bool(image.info.get("progressive")))


def _debian_photos(package: str, pattern: str) -> list[Path]:
    folder = CACHE / package
    if not folder.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            print(f"no apt-get: measuring without the photographs of Debian's {package}")
            return []
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", "-qq", package], cwd=CACHE, check=False, capture_output=True)
        files = sorted(CACHE.glob(f"{package}_*.deb"))
        if done.returncode or not files:
            print(f"apt-get could not download {package} (run apt-get update?): measuring without its photographs")
            return []
        subprocess.run(["dpkg-deb", "-x", str(files[-1]), str(folder)], check=True)
    return sorted(path for path in folder.rglob(pattern) if not path.is_symlink())


def _words(chance: random.Random, count: int) -> str:
    return " ".join("".join(chance.choices("etaoinshrdlu", k=chance.randint(1, 9))) for _ in range(count))


def _page() -> Image.Image:
    chance, page = random.Random(1), Image.new("RGB", (1654, 2339), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    for y in range(80, 2240, 36):
        draw.text((80, y), _words(chance, 22)[:120], fill="black", font=font)
    return page


def _screen() -> Image.Image:
    chance, screen = random.Random(2), Image.new("RGB", (1920, 1080), (245, 246, 248))
    draw, font = ImageDraw.Draw(screen), ImageFont.load_default(14)
    draw.rectangle((0, 0, 1920, 60), fill=(30, 60, 120))
    draw.rectangle((0, 60, 300, 1080), fill=(230, 233, 240))
    for _ in range(20):
        x, y = chance.randrange(320, 1700), chance.randrange(80, 900)
        draw.rectangle((x, y, x + 150, y + 100), fill=tuple(chance.randrange(256) for _ in range(3)))
    for _ in range(200):
        place = chance.randrange(320, 1800), chance.randrange(80, 1060)
        draw.text(place, _words(chance, 6), fill=(40, 40, 40), font=font)
    return screen
