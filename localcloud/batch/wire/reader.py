"""Reads JSON bodies with Batch's complaints: which property, which value, why."""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.wire.instants import parse_duration, parse_time

T = TypeVar("T")

_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", re.ASCII)


class Reader:
    """A JSON object and typed ways to read its properties. Numbers may be strings: older clients send them so."""

    __slots__ = ("document",)

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def has(self, name: str) -> bool:
        return self.document.get(name) is not None

    def _required(self, name: str) -> Any:
        value = self.document.get(name)
        if value is None:
            raise Refused("MissingRequiredProperty", values=(("PropertyName", name),))
        return value

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.document.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise invalid_property(name, value, "The property must be a string")
        return value

    def required_text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str) or not value:
            raise invalid_property(name, value, "The property must be a string that is not empty")
        return value

    def id(self, name: str = "id") -> str:
        """1 to 64 letters, digits, hyphens and underscores."""
        value = self._required(name)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise invalid_property(
                name, value, "An id has 1 to 64 characters: letters, digits, hyphens and underscores"
            )
        return value

    def integer(self, name: str, default: int, *, least: int | None = None, most: int | None = None) -> int:
        value = self.document.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise invalid_property(name, value, "The property must be an integer")
        try:
            number = int(value)
        except ValueError as error:
            raise invalid_property(name, value, "The property must be an integer") from error
        if (least is not None and number < least) or (most is not None and number > most):
            raise invalid_property(name, value, f"The value must be {least} to {'any' if most is None else most}")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.document.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise invalid_property(name, value, "The property must be true or false")
        return value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.document.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value.lower() in allowed:
            return value.lower()
        raise invalid_property(name, value, f"The value must be one of {', '.join(allowed)}")

    def duration(self, name: str, default: float) -> float:
        return self._parsed(name, default, parse_duration, "The property must be an ISO 8601 duration")

    def time(self, name: str) -> float | None:
        return self._parsed(name, None, parse_time, "The property must be an ISO 8601 time")

    def _parsed(self, name: str, default: T, parse: Callable[[str], T], complaint: str) -> T:
        value = self.document.get(name)
        if value is None:
            return default
        try:
            return parse(value)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise invalid_property(name, value, complaint) from error

    def object(self, name: str) -> "Reader | None":
        value = self.document.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid_property(name, value, "The property must be an object")
        return Reader(value)

    def required_object(self, name: str) -> "Reader":
        self._required(name)
        found = self.object(name)
        return found if found is not None else Reader({})

    def array(self, name: str) -> list[Any]:
        value = self.document.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise invalid_property(name, value, "The property must be an array")
        return value

    def objects(self, name: str) -> "Iterator[Reader]":
        for item in self.array(name):
            if not isinstance(item, dict):
                raise invalid_property(name, item, "The array must hold objects")
            yield Reader(item)

    def without(self, *names: str) -> dict[str, Any]:
        """The object without some properties and without nulls: what is kept to be returned."""
        return {k: v for k, v in self.document.items() if v is not None and k not in names}
