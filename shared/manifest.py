"""A sealed manifest: the images of one Batch task, never changed after it was written."""

from __future__ import annotations

from dataclasses import dataclass

from shared.document import count_field, decode, encode, text_field
from shared.errors import DocumentError
from shared.naming import Naming

KIND = "manifest"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of one image to convert. (name, etag) identifies it in outcomes."""

    name: str
    etag: str
    size: int
    """Bytes, as the arrival said; a hint for planning only."""
    attempt: int = 0
    """How many tasks have already failed on this version."""

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.etag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one task converts. `id` is also the Batch task's id (at most 64 of [A-Za-z0-9_-])."""

    id: str
    created: str
    """ISO 8601 UTC."""
    naming: Naming
    entries: tuple[Entry, ...]


def to_bytes(manifest: Manifest) -> bytes:
    """The manifest as stored. The same manifest gives the same bytes."""
    images = [{"name": e.name, "etag": e.etag, "size": e.size, "attempt": e.attempt} for e in manifest.entries]
    body = {
        "id": manifest.id,
        "created": manifest.created,
        "naming": manifest.naming.value,
        "images": images,
    }
    return encode(KIND, SCHEMA, body)


def from_bytes(data: bytes, *, where: str) -> Manifest:
    """The stored manifest. Raises DocumentError, naming `where`, when it is not one that this release knows."""
    body = decode(data, KIND, SCHEMA, where=where)
    images = body.get("images")
    if not isinstance(images, list):
        raise DocumentError(f"{where}: field 'images' must be a list")
    try:
        naming = Naming(text_field(body, "naming", where=where))
    except ValueError as error:
        raise DocumentError(f"{where}: {error}") from error
    return Manifest(
        id=text_field(body, "id", where=where),
        created=text_field(body, "created", where=where),
        naming=naming,
        entries=tuple(_entry(image, where=f"{where}: image {n}") for n, image in enumerate(images)),
    )


def _entry(image: object, *, where: str) -> Entry:
    if not isinstance(image, dict):
        raise DocumentError(f"{where}: must be an object")
    return Entry(
        name=text_field(image, "name", where=where),
        etag=text_field(image, "etag", where=where),
        size=count_field(image, "size", where=where),
        attempt=count_field(image, "attempt", where=where),
    )
