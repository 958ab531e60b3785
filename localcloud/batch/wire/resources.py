"""How an entity becomes JSON: a table of its properties, so that `$select` and `$filter` cost only what they name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from localcloud.batch.core.entities import Revision
from localcloud.batch.core.errors import Refused

E = TypeVar("E")

Value = str | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[E]):
    """`properties` give JSON by name (None: left out); `filterable` give plain values (times as seconds) by path."""

    name: str
    properties: Mapping[str, Callable[[E], Any]]
    filterable: Mapping[str, Callable[[E], Value]]

    def json(self, entity: E, select: Iterable[str] | None = None) -> dict[str, Any]:
        names = self.properties if select is None else select
        found = ((name, self.properties[name](entity)) for name in names)
        return {name: value for name, value in found if value is not None}

    def selection(self, text: str | None) -> tuple[str, ...] | None:
        """Read `$select`. Raises Refused for a property that does not exist."""
        if not text:
            return None
        known = {name.lower(): name for name in self.properties}
        chosen = []
        for part in text.split(","):
            name = known.get(part.strip().split("/")[0].lower())
            if name is None:
                raise bad_query("$select", text, f"{part.strip()!r} is not a property of {self.name}")
            chosen.append(name)
        return tuple(dict.fromkeys(chosen))


def bad_query(name: str, value: str, reason: str) -> Refused:
    return Refused(
        "InvalidQueryParameterValue",
        values=(("QueryParameterName", name), ("QueryParameterValue", value), ("Reason", reason)),
    )


def etag(revision: Revision) -> str:
    """As Azure writes them: ticks of 100 ns since year 1, with the account's revision number in the last digits."""
    ticks = int(revision.modified_at * 1_000) * 10_000 + 621_355_968_000_000_000
    return f"0x{(ticks + revision.number % 10_000):X}"
