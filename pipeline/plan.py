"""The plan: which sealed inboxes are being cut into manifests now, and how. A pure function of it does the cutting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.arrival import Arrival, newest_versions
from shared.document import count_field, decode, encode, text_field
from shared.errors import DocumentError
from shared.manifest import Entry, Manifest
from shared.naming import Naming

BLOB = "plan/current.json"
KIND = "plan"
SCHEMA = 1
FEWER = 20
"""How much smaller a manifest of images is whose task failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that the cut depends on, beside the content of the inboxes."""

    id: str
    created: str
    """ISO 8601 UTC."""
    naming: Naming
    max_images: int
    max_bytes: int
    max_attempts: int = 3
    """An image whose task failed shares its next one with few others, and its last one with none."""
    inboxes: tuple[str, ...]
    """Names of sealed append blobs, in the order in which they are read."""
    written: bool = False
    """Whether all manifests are written: only then may an inbox of the plan be deleted."""


def to_bytes(plan: Plan) -> bytes:
    """The plan as stored."""
    body = {
        "id": plan.id,
        "created": plan.created,
        "naming": plan.naming.value,
        "max_images": plan.max_images,
        "max_bytes": plan.max_bytes,
        "max_attempts": plan.max_attempts,
        "inboxes": list(plan.inboxes),
        "written": plan.written,
    }
    return encode(KIND, SCHEMA, body)


def from_bytes(data: bytes, *, where: str) -> Plan:
    """The stored plan. Raises DocumentError, naming `where`, when it is not one that this release knows."""
    body = decode(data, KIND, SCHEMA, where=where)
    inboxes = body.get("inboxes")
    if not isinstance(inboxes, list) or not all(isinstance(name, str) for name in inboxes):
        raise DocumentError(f"{where}: field 'inboxes' must be a list of strings")
    return Plan(
        id=text_field(body, "id", where=where),
        created=text_field(body, "created", where=where),
        naming=Naming(text_field(body, "naming", where=where)),
        max_images=count_field(body, "max_images", where=where),
        max_bytes=count_field(body, "max_bytes", where=where),
        max_attempts=count_field(body, "max_attempts", where=where),
        inboxes=tuple(inboxes),
        written=body.get("written") is True,
    )


def cut(plan: Plan, arrivals: Iterable[Arrival]) -> list[Manifest]:
    """The manifests of a plan: repeats dropped, each bounded by count and bytes, named by their place in the plan.

    Images whose task failed are kept apart: one that takes its worker down with it would count failures against its
    neighbours. The same plan and arrivals give the same manifests, byte for byte.
    """
    by_limit: dict[int, list[Arrival]] = {}
    for arrival in newest_versions(arrivals):
        by_limit.setdefault(_most_together(plan, arrival.attempt), []).append(arrival)
    groups = (entries for limit, group in by_limit.items() for entries in _bounded(plan, group, limit))
    return [
        Manifest(id=f"{plan.id}-{number:04d}", created=plan.created, naming=plan.naming, entries=tuple(entries))
        for number, entries in enumerate(groups)
    ]


def _most_together(plan: Plan, attempt: int) -> int:
    """How many images may share a manifest, by how often their tasks failed: many, few, and on the last attempt one."""
    if attempt == 0:
        return plan.max_images
    if attempt + 1 >= plan.max_attempts:
        return 1
    return max(1, plan.max_images // FEWER)


def _bounded(plan: Plan, arrivals: Iterable[Arrival], limit: int) -> Iterator[list[Entry]]:
    entries: list[Entry] = []
    size = 0
    for arrival in arrivals:
        full = len(entries) >= limit or size + arrival.size > plan.max_bytes
        if entries and full:
            yield entries
            entries, size = [], 0
        entries.append(Entry(name=arrival.name, etag=arrival.etag, size=arrival.size, attempt=arrival.attempt))
        size += arrival.size
    if entries:
        yield entries
