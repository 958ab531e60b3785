"""A quarantine document: why one version of one image will not become a PNG.

Stored in the quarantine container under the image's own name, so that the three listings of a sweep run side by side;
its metadata repeats the version (`source_etag`) and `reason`, so that a listing alone tells whether it is current.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.document import count_field, decode, encode, text_field

KIND = "quarantine"
SCHEMA = 1

ATTEMPTS_EXHAUSTED = "attempts-exhausted"
"""The reason of an image on which every allowed task failed without an outcome."""

NAME_CONFLICT = "name-conflict"
"""The reason of an image whose PNG's name is taken by the PNG of another image: it passes when the other one goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """One version of one image that cannot be converted."""

    name: str
    etag: str
    size: int
    reason: str
    detail: str
    when: str
    attempts: int
    manifest: str
    """The id of the last manifest that held it."""


def to_bytes(document: Quarantined) -> bytes:
    """The document as stored."""
    body = {
        "name": document.name,
        "etag": document.etag,
        "size": document.size,
        "reason": document.reason,
        "detail": document.detail,
        "when": document.when,
        "attempts": document.attempts,
        "manifest": document.manifest,
    }
    return encode(KIND, SCHEMA, body)


def from_bytes(data: bytes, *, where: str) -> Quarantined:
    """The stored document. Raises DocumentError, naming `where`, when it is not one that this release knows."""
    body = decode(data, KIND, SCHEMA, where=where)
    return Quarantined(
        name=text_field(body, "name", where=where),
        etag=text_field(body, "etag", where=where),
        size=count_field(body, "size", where=where),
        reason=text_field(body, "reason", where=where),
        detail=text_field(body, "detail", where=where),
        when=text_field(body, "when", where=where),
        attempts=count_field(body, "attempts", where=where),
        manifest=text_field(body, "manifest", where=where),
    )
