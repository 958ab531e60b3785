"""An arrival: one version of one image that wants a PNG. The line of an inbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
        """Whether this is the newer version of the same name, as far as can be told without asking storage.

        Sequencers decide where both have one; else the time. Equal means no.
        """
        if self.sequencer and other.sequencer and len(self.sequencer) == len(other.sequencer):
            return self.sequencer > other.sequencer
        return self.time > other.time


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
    """One arrival a name, the newest version; of one version the arrival with most attempts (none is forgotten).

    Keeps the order in which names first came. The result depends only on the input's order and content.
    """
    newest: dict[str, Arrival] = {}
    for arrival in arrivals:
        known = newest.get(arrival.name)
        if known is None:
            newest[arrival.name] = arrival
        elif known.etag == arrival.etag:
            if arrival.attempt > known.attempt:
                newest[arrival.name] = arrival
        elif arrival.newer_than(known):
            newest[arrival.name] = arrival
    return list(newest.values())


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
