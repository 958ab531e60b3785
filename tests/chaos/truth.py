"""What the images container holds, by the one who wrote it: the measure for the audit."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.corpus import Content, Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one image, as uploaded."""

    name: str
    etag: str
    """Normalised: no quotes."""
    size: int
    written: str
    """ISO 8601 UTC."""
    sequencer: str
    picture: Picture


@dataclass
class Truth:
    """The latest version of each name, and how it came to be."""

    latest: dict[str, Version] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    uploads: int = 0
    overwrites: int = 0
    deletions: int = 0
    recreations: int = 0

    def wrote(self, version: Version) -> None:
        """A version was uploaded."""
        self.uploads += 1
        if version.name in self.latest:
            self.overwrites += 1
        elif version.name in self.deleted:
            self.recreations += 1
        self.deleted.discard(version.name)
        self.latest[version.name] = version

    def removed(self, name: str) -> None:
        """An image was deleted."""
        self.deletions += 1
        self.deleted.add(name)
        del self.latest[name]

    def of(self, content: Content) -> dict[str, Version]:
        """The latest versions with this content."""
        return {name: version for name, version in self.latest.items() if version.picture.content is content}
