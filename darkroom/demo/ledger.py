"""Every image that was dropped, at its present version, and where it is by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from darkroom.demo.subjects import Subject
from shared.naming import Naming, normal_etag, png_name, source_label


class Place(StrEnum):
    """Where an image can have ended."""

    CONVERTED = "converted"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A blob of the converted or the quarantine container, as a listing tells it."""

    name: str
    source: str
    """The source's label; empty in quarantine, where the name is the source's own."""
    etag: str


@dataclass(slots=True)
class Ledger:
    """What was dropped. An image counts as landed only at the version that was dropped last."""

    naming: Naming
    subjects: dict[str, Subject] = field(default_factory=dict)
    versions: dict[str, tuple[int, str]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def dropped(self, subject: Subject, version: int, etag: str) -> None:
        """A version was written; what landed of an older one no longer counts."""
        self.subjects[subject.name] = subject
        self.versions[subject.name] = (version, normal_etag(etag))
        self.places.pop(subject.name, None)

    def observe(self, converted: Iterable[Landed], quarantined: Iterable[Landed]) -> None:
        """Take in two listings."""
        pngs = {entry.name: (entry.source, normal_etag(entry.etag)) for entry in converted}
        graves = {entry.name: normal_etag(entry.etag) for entry in quarantined}
        self.places.clear()
        for name, (_, etag) in self.versions.items():
            if pngs.get(png_name(name, self.naming)) == (source_label(name), etag):
                self.places[name] = Place.CONVERTED
            elif graves.get(name) == etag:
                self.places[name] = Place.QUARANTINED

    def count(self, place: Place) -> int:
        """How many images are at `place`."""
        return sum(found is place for found in self.places.values())

    @property
    def missing(self) -> list[str]:
        """The images that are nowhere yet."""
        return [name for name in self.versions if name not in self.places]

    def misplaced(self) -> list[str]:
        """A sentence for each image that ended in the wrong place."""
        wrong = []
        for name, place in self.places.items():
            expected = Place.QUARANTINED if self.subjects[name].corrupt else Place.CONVERTED
            if place is not expected:
                wrong.append(f"{name} is {place}, not {expected}")
        return wrong
