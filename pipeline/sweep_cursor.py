"""Where a sweep that ran into its deadline goes on: a small document in the manifests container, one a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from pipeline.listing import Document, Image
from pipeline.storage import BlobMissingError, Container
from shared.document import decode, encode
from shared.errors import DocumentError

KIND = "sweep-cursor"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlace:
    """A place in one listing."""

    marker: str = ""
    """Begins the page that was being read."""
    after: str = ""
    """The last name that was consumed."""
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A sweep that is not finished."""

    prefix: str
    started: str
    counts: dict[str, int]
    examples: dict[str, list[str]]
    streams: Mapping[str, StreamPlace]
    held: list[tuple[Image, Document | None]]
    """Images whose PNG's place was not passed yet."""


def cursor_blob(prefix: str) -> str:
    """The document's name: one a prefix, whatever characters are in it."""
    return f"state/sweep-cursor-{blake2b(prefix.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}.json"


async def load_cursor(manifests: Container, prefix: str) -> Cursor | None:
    """The place where the last sweep of this prefix stopped; None when it reached its end, or is of another release."""
    name = cursor_blob(prefix)
    try:
        body = decode((await manifests.read(name)).data, KIND, SCHEMA, where=name)
        return _from_body(body)
    except BlobMissingError:
        return None
    except (DocumentError, KeyError, TypeError):
        return None  # a place of another release is worth nothing: a sweep begins anew and loses nothing


async def save_cursor(manifests: Container, cursor: Cursor) -> None:
    """Leaves the place for the next run."""
    body = {
        "prefix": cursor.prefix,
        "started": cursor.started,
        "counts": cursor.counts,
        "examples": cursor.examples,
        "streams": {name: asdict(place) for name, place in cursor.streams.items()},
        "held": [[asdict(image), asdict(document) if document else None] for image, document in cursor.held],
    }
    await manifests.replace(cursor_blob(cursor.prefix), encode(KIND, SCHEMA, body))


async def forget_cursor(manifests: Container, prefix: str) -> None:
    """The sweep has reached its end."""
    with suppress(BlobMissingError):
        await manifests.delete(cursor_blob(prefix))


def _from_body(body: Mapping[str, Any]) -> Cursor:
    return Cursor(
        prefix=body["prefix"],
        started=body["started"],
        counts=dict(body["counts"]),
        examples={what: list(found) for what, found in body["examples"].items()},
        streams={name: StreamPlace(**place) for name, place in body["streams"].items()},
        held=[
            (Image(**image), Document(**document) if document is not None else None) for image, document in body["held"]
        ],
    )
