"""An arrival: one version of one image that wants a PNG. The line of an inbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.document import count_field, decode, encode, text_field
from shared.errors import DocumentError

KIND = "arrival"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One version of one image, on its way to a manifest."""

    id: str
    """Unique to the entry: an append that failed may have taken effect, so readers drop repeats."""
    name: str
    """The blob's name in the images container, decoded."""
    etag: str
    """Normalised: no quotes."""
    size: int
    """Bytes."""
    time: str
    """When the version was written, ISO 8601 UTC, from the event or the listing."""
    sequencer: str = ""
    """Event Grid's per-blob order, comparable as a string; empty when it did not come by event."""
    attempt: int = 0
    """How many tasks have already failed on this version."""
    via: str = "event"
    """event, sweep, retry, replay or run: who brought it."""

    def newer_than(self, other: Arrival) -> bool:
        """Whether this is certainly the newer version of the same name: both have Event Grid's sequencer.

        Times do not decide: a retry or a sweep dates its arrivals by its own knowledge; a wrong guess loses an image.
        https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
        """
        if self.sequencer and other.sequencer and len(self.sequencer) == len(other.sequencer):
            return self.sequencer > other.sequencer
        return False


def to_line(arrival: Arrival) -> bytes:
    """The arrival as one line of an inbox, newline included."""
    body = {
        "id": arrival.id,
        "name": arrival.name,
        "etag": arrival.etag,
        "size": arrival.size,
        "time": arrival.time,
        "sequencer": arrival.sequencer,
        "attempt": arrival.attempt,
        "via": arrival.via,
    }
    return encode(KIND, SCHEMA, body) + b"\n"


def from_lines(data: bytes, *, where: str) -> Iterator[Arrival]:
    """The arrivals of an inbox, repeats of an id dropped. Raises DocumentError at the first line that is not one."""
    seen: set[str] = set()
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        arrival = _from_line(line, where=f"{where}:{number}")
        if arrival.id not in seen:
            seen.add(arrival.id)
            yield arrival


def newest_versions(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """One arrival a version, with most attempts (none is forgotten), without versions that are certainly old.

    Where the order of two versions of a name is not certain both stay: the worker asks storage, at one request.
    Keeps the order in which versions first came. The result depends only on the input's order and content.
    """
    versions: dict[tuple[str, str], Arrival] = {}
    newest: dict[tuple[str, int], Arrival] = {}
    for arrival in arrivals:
        key = (arrival.name, arrival.etag)
        known = versions.get(key)
        if known is None:
            versions[key] = arrival
        elif arrival.attempt > known.attempt:
            versions[key] = dataclasses.replace(arrival, sequencer=arrival.sequencer or known.sequencer)
        elif arrival.sequencer and not known.sequencer:
            versions[key] = dataclasses.replace(known, sequencer=arrival.sequencer)
        if arrival.sequencer:
            place = (arrival.name, len(arrival.sequencer))
            top = newest.get(place)
            if top is None or arrival.newer_than(top):
                newest[place] = arrival
    return [arrival for arrival in versions.values() if not _outdone(arrival, newest)]


def _outdone(arrival: Arrival, newest: Mapping[tuple[str, int], Arrival]) -> bool:
    top = newest.get((arrival.name, len(arrival.sequencer)))
    return top is not None and top.etag != arrival.etag and top.newer_than(arrival)


def _from_line(line: bytes, *, where: str) -> Arrival:
    body = decode(line, KIND, SCHEMA, where=where)
    arrival = Arrival(
        id=text_field(body, "id", where=where),
        name=text_field(body, "name", where=where),
        etag=text_field(body, "etag", where=where),
        size=count_field(body, "size", where=where),
        time=text_field(body, "time", where=where),
        sequencer=text_field(body, "sequencer", where=where),
        attempt=count_field(body, "attempt", where=where),
        via=text_field(body, "via", where=where),
    )
    if not arrival.name or not arrival.etag:
        raise DocumentError(f"{where}: an arrival needs a name and an ETag")
    return arrival
