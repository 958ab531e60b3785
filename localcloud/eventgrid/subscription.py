"""Event subscriptions: which events go to which function, and how persistently.

The defaults and ranges are Event Grid's:
https://learn.microsoft.com/azure/event-grid/event-filtering
https://learn.microsoft.com/azure/event-grid/delivery-and-retry
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.errors import StartError
from localcloud.eventgrid.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSubscription:
    """One subscription. `topic` None is the storage account's system topic, else a custom topic's name.

    Subjects compare without regard to case. `subject_ends_with_any` is what an advanced filter
    `StringEndsWith` on the subject is on Azure; no value at all means any subject.
    """

    name: str
    function: str
    topic: str | None = None
    included_event_types: tuple[str, ...] = ()
    subject_begins_with: str = ""
    subject_ends_with_any: tuple[str, ...] = ()
    max_events_per_batch: int = 1
    preferred_batch_size_kb: int = 64
    max_delivery_attempts: int = 30
    event_ttl_minutes: int = 1440
    dead_letter_container: str | None = None

    def wants(self, event: Event) -> bool:
        """True when the subscription's filters let `event` through."""
        return self.wants_subject(event["subject"]) and (
            not self.included_event_types or event["eventType"] in self.included_event_types
        )

    def wants_subject(self, subject: str) -> bool:
        """True when the subject filters let an event of this subject through."""
        folded = subject.casefold()
        return folded.startswith(self.subject_begins_with.casefold()) and (
            not self.subject_ends_with_any or folded.endswith(tuple(s.casefold() for s in self.subject_ends_with_any))
        )


@dataclass(frozen=True, slots=True)
class _Range:
    least: int
    most: int


_RANGES = {
    "max_events_per_batch": _Range(1, 5000),
    "preferred_batch_size_kb": _Range(1, 1024),
    "max_delivery_attempts": _Range(1, 30),
    "event_ttl_minutes": _Range(1, 1440),
}


@dataclass(slots=True)
class _Reader:
    """Takes typed values out of one JSON object and remembers which keys it knew."""

    where: str
    values: Mapping[str, Any]
    known: set[str] = field(default_factory=set)

    def text(self, key: str, default: str | None = None) -> str | None:
        self.known.add(key)
        value = self.values.get(key, default)
        if value is not None and not isinstance(value, str):
            raise StartError(f"{self.where}: {key} must be a string, not {value!r}")
        return value

    def required(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise StartError(f"{self.where}: {key} is missing")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        self.known.add(key)
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise StartError(f"{self.where}: {key} must be a list of strings, not {value!r}")
        return tuple(value)

    def number(self, key: str, default: int) -> int:
        self.known.add(key)
        value = self.values.get(key, default)
        allowed = _RANGES[key]
        if not isinstance(value, int) or isinstance(value, bool) or not allowed.least <= value <= allowed.most:
            raise StartError(
                f"{self.where}: {key} must be a whole number from {allowed.least} to {allowed.most}, not {value!r}"
            )
        return value

    def nothing_else(self) -> None:
        if unknown := sorted(set(self.values) - self.known):
            raise StartError(f"{self.where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(self.known))}")


def parse_subscription(values: Mapping[str, Any], *, where: str) -> EventSubscription:
    """One entry of `event_subscriptions` in infra/local.json. Raises StartError that names the key."""
    read = _Reader(where, values)
    subscription = EventSubscription(
        name=read.required("name"),
        function=read.required("function"),
        topic=read.text("topic"),
        included_event_types=read.texts("included_event_types"),
        subject_begins_with=read.text("subject_begins_with") or "",
        subject_ends_with_any=read.texts("subject_ends_with_any"),
        max_events_per_batch=read.number("max_events_per_batch", 1),
        preferred_batch_size_kb=read.number("preferred_batch_size_kb", 64),
        max_delivery_attempts=read.number("max_delivery_attempts", 30),
        event_ttl_minutes=read.number("event_ttl_minutes", 1440),
        dead_letter_container=read.text("dead_letter_container"),
    )
    read.nothing_else()
    return subscription
