"""Manifests that are not closed, as dispatch saw them last: what a status need not list again.

Dispatch makes them and collect closes them, so the two states together say what is open. A list costs Azurite time that
grows with everything in it; a status that is asked every few seconds reads the states instead, while they are young.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.sealing import SEALED
from pipeline.storage import Listed

MEMORY, CLOSED = "open", "closed"
"""What the memories of dispatch and collect call what they know."""
KNOWN = 500
"""Open manifests that are noted, and closed ones that are remembered: where there are more, a status lists."""
YOUNG = timedelta(seconds=150)
"""Older than that, dispatch does not run as it should, and is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenManifest:
    """A manifest that is not closed."""

    id: str
    images: int
    bytes: int
    created: str
    job: str = ""
    """Empty: not submitted yet."""
    submitted: str = ""


def open_manifest(blob: Listed) -> OpenManifest:
    """What a listing with metadata says of a sealed manifest."""
    return OpenManifest(
        id=blob.name.removeprefix(SEALED).removesuffix(".json"),
        images=_number(blob, "images"),
        bytes=_number(blob, "bytes"),
        created=blob.created.isoformat(),
        job=blob.metadata.get("job", ""),
        submitted=blob.metadata.get("submitted", ""),
    )


def noted(blobs: Sequence[Listed], at: datetime) -> dict[str, Any]:
    """For dispatch's memory. Nothing where they are too many."""
    if len(blobs) > KNOWN:
        return {}
    return {"at": at.isoformat(), "manifests": [asdict(open_manifest(blob)) for blob in blobs]}


def known(dispatch: Mapping[str, Any], collect: Mapping[str, Any], *, now: datetime) -> tuple[OpenManifest, ...] | None:
    """What is open, from the two memories; None where they are too old or do not say."""
    told = dispatch.get(MEMORY) or {}
    try:
        if now - datetime.fromisoformat(told["at"]) > YOUNG:
            return None
        manifests = [OpenManifest(**one) for one in told["manifests"]]
    except (KeyError, TypeError, ValueError):
        return None  # of another release, or none yet
    closed = set(collect.get(CLOSED) or ())
    return tuple(one for one in manifests if one.id not in closed)


def _number(blob: Listed, key: str) -> int:
    value = blob.metadata.get(key, "0")
    return int(value) if value.isdecimal() else 0
