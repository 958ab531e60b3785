"""What the demo drops: photographs and drawn pictures, awkward names, new versions, and one file that is no image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from darkroom.images.picture import picture

_WIDTH, _HEIGHT = 640, 480
_SEED = 2026
_FOLDERS = ("", "2026/summer trip/", "Küche & Bad/", "写真/", "100% #1/")
_REPLACED_EVERY = 12
"""One image in so many gets a new version while the work is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One blob to drop. `replaced`: another version follows. `corrupt`: it can only end in quarantine."""

    name: str
    number: int
    photo: str = ""
    replaced: bool = False
    corrupt: bool = False

    def data(self, version: int) -> bytes:
        """The bytes of version 1 or 2; the same each time."""
        if self.corrupt:
            return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
        if self.photo and version == 1:
            return resources.files("darkroom.demo").joinpath("photos", self.photo).read_bytes()
        return picture(self.number, seed=_SEED + version, width=_WIDTH, height=_HEIGHT)


def subjects(count: int) -> Iterator[Subject]:
    """`count` subjects (at least 1). From four on, one of them is corrupt; every twelfth is replaced."""
    photos = ("flower.jpg", "landscape.jpg")
    for number in range(1, count + 1):
        folder = _FOLDERS[number % len(_FOLDERS)]
        if number == 4:
            yield Subject(name="damaged on the way.jpg", number=number, corrupt=True)
        elif number <= len(photos):
            yield Subject(name=f"{folder}{photos[number - 1]}", number=number, photo=photos[number - 1])
        else:
            suffix = (".jpg", ".JPG", ".jpeg")[number % 3]
            replaced = number % _REPLACED_EVERY == 0
            yield Subject(name=f"{folder}picture {number:05}{suffix}", number=number, replaced=replaced)
