"""Settings, read once from an environment into typed values; each is declared, explained and bounded in one place.

A declaration is a dataclass field made with `setting(...)`; `read(cls, environ)` gives the values or raises
SettingsError with the key and what is allowed; `describe(cls, environ)` lists them for people. The groups are in
`shared/app_settings.py` (function app and command line) and `shared/worker_settings.py` (nodes).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints

from shared.errors import SettingsError


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=_Dataclass)
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What is known of a setting beside its type."""

    name: str
    about: str
    unit: str
    at_least: float | None
    at_most: float | None
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One setting as `darkroom config` shows it."""

    name: str
    value: str
    default: str
    source: str
    """`environment` or `default`."""
    allowed: str
    about: str


def setting(
    name: str,
    default: Any,
    about: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    secret: bool = False,
) -> Any:
    """Declares a dataclass field that is read from the environment variable `name`."""
    declaration = Declaration(name=name, about=about, unit=unit, at_least=at_least, at_most=at_most, secret=secret)
    return field(default=default, metadata={"setting": declaration})


def read(cls: type[S], environ: Mapping[str, str]) -> S:
    """The settings of `cls` from `environ`. An empty value counts as not set.

    Raises SettingsError that names every wrong key at once.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, kind, declaration, _default in _declared(cls):
        raw = environ.get(declaration.name, "").strip()
        if not raw:
            continue
        try:
            values[name] = _parse(raw, kind, declaration)
        except ValueError:
            shown = "the value given" if declaration.secret else repr(raw)
            faults.append(f"{declaration.name}: {shown} is not allowed; allowed: {_allowed(kind, declaration)}")
    if faults:
        raise SettingsError("\n".join(faults))
    return cls(**values)


def describe(cls: type[_Dataclass], environ: Mapping[str, str]) -> list[Described]:
    """Every setting of `cls` with its value and where it came from. Secrets are masked. Never raises for bad values."""
    rows = []
    for _, kind, declaration, default in _declared(cls):
        raw = environ.get(declaration.name, "").strip()
        shown_default = _show(default)
        value = ("*" * 8 if declaration.secret else raw) if raw else shown_default
        rows.append(
            Described(
                name=declaration.name,
                value=value,
                default=shown_default,
                source="environment" if raw else "default",
                allowed=_allowed(kind, declaration),
                about=declaration.about,
            )
        )
    return rows


def names(cls: type[_Dataclass]) -> list[str]:
    """The environment variables that `cls` reads."""
    return [declaration.name for _, _, declaration, _ in _declared(cls)]


def _declared(cls: type[_Dataclass]) -> Iterator[tuple[str, Any, Declaration, Any]]:
    hints = get_type_hints(cls)
    for item in dataclasses.fields(cls):
        declaration = item.metadata.get("setting")
        if declaration is not None:
            yield item.name, hints[item.name], declaration, item.default


def _parse(raw: str, kind: Any, declaration: Declaration) -> Any:
    if kind is bool:
        if raw.lower() not in _WORDS:
            raise ValueError(raw)
        return _WORDS[raw.lower()]
    if kind in (int, float):
        number = kind(raw)
        low, high = declaration.at_least, declaration.at_most
        if number != number or (low is not None and number < low) or (high is not None and number > high):  # noqa: PLR0124 (NaN)
            raise ValueError(raw)
        return number
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(raw.lower())
    if kind is str:
        return raw
    raise TypeError(f"setting {declaration.name} has a type that settings cannot read: {kind}")


def _allowed(kind: Any, declaration: Declaration) -> str:
    if kind is bool:
        return "true or false"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(member.value for member in kind)
    if kind in (int, float):
        what = "a whole number" if kind is int else "a number"
        if declaration.unit:
            what += f" of {declaration.unit}"
        if declaration.at_least is not None:
            what += f", at least {declaration.at_least:g}"
        if declaration.at_most is not None:
            what += f", at most {declaration.at_most:g}"
        return what
    return "text"


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
