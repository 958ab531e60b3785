"""Route templates of HTTP functions.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#customize-the-http-endpoint
(the templates of ASP.NET Web API: `{name}`, `{name:int}`, `{name?}`, `{name=default}`, `{*rest}`). Literals
compare without regard to case. Where several templates match, the more specific wins: literal before
constrained before free parameter before catch-all, from left to right.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from localcloud.errors import LocalCloudError


class RouteError(LocalCloudError, ValueError):
    """The template is not one that the host understands."""


_CONSTRAINTS = {
    "int": r"[+-]?\d{1,10}",
    "long": r"[+-]?\d{1,19}",
    "bool": r"(?i:true|false)",
    "decimal": r"[+-]?\d+(?:\.\d+)?",
    "double": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "float": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "alpha": r"[A-Za-z]*",
    "guid": r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?",
    "required": r".+",
}
_PARAMETER = re.compile(r"\{(\*{0,2})([A-Za-z_]\w*)((?::[^{}?=]+)*)(\?|=[^{}]*)?\}")
_INT_RANGE = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    name: str
    catch_all: bool
    optional: bool
    default: str | None
    constraints: tuple[str, ...]

    def accepts(self, value: str) -> bool:
        for constraint in self.constraints:
            if not re.fullmatch(_CONSTRAINTS[constraint], value):
                return False
            if constraint in _INT_RANGE:
                least, most = _INT_RANGE[constraint]
                if not least <= int(value) <= most:
                    return False
        return True


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed template. `order` sorts the more specific before the less."""

    template: str
    _pattern: re.Pattern[str]
    _parameters: tuple[_Parameter, ...]
    order: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The route parameters when `path` (percent-encoded, no slash in front) matches, else None."""
        found = self._pattern.fullmatch(path.rstrip("/"))
        if found is None:
            return None
        values: dict[str, str] = {}
        for parameter in self._parameters:
            raw = found.group(parameter.name)
            if not raw:
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
                elif not parameter.optional and not parameter.catch_all:
                    return None
                continue
            value = unquote(raw)
            if not parameter.accepts(value):
                return None
            values[parameter.name] = value
        return values


def parse_route(template: str) -> Route:
    """Parse `template`. Raises RouteError that names what is wrong."""
    pattern = ""
    parameters: list[_Parameter] = []
    order: list[int] = []
    segments = [segment for segment in template.strip("/").split("/") if segment]
    for number, segment in enumerate(segments):
        text, found = _segment(segment, template)
        if any(p.catch_all for p in found) and number != len(segments) - 1:
            raise RouteError(f"route {template!r}: a catch-all must be the last segment")
        whole = len(found) == 1 and _PARAMETER.fullmatch(segment) is not None
        absent = whole and (found[0].optional or found[0].default is not None or found[0].catch_all)
        slash = "/" if number else ""
        pattern += f"(?:{slash}{text})?" if absent else f"{slash}{text}"
        parameters += found
        order.append(_rank(found, whole))
    names = [parameter.name.casefold() for parameter in parameters]
    if len(names) != len(set(names)):
        raise RouteError(f"route {template!r}: a parameter appears twice")
    return Route(template, re.compile(pattern, re.IGNORECASE | re.DOTALL), tuple(parameters), tuple(order))


def _segment(segment: str, template: str) -> tuple[str, list[_Parameter]]:
    pattern = ""
    parameters: list[_Parameter] = []
    at = 0
    for found in _PARAMETER.finditer(segment):
        pattern += _literal(segment[at : found.start()], template)
        stars, name, constraints, tail = found.groups()
        words = tuple(filter(None, (constraints or "").split(":")))
        if unknown := [word for word in words if word not in _CONSTRAINTS]:
            raise RouteError(f"route {template!r}: the constraint {unknown[0]!r} is not offered by the local host")
        parameters.append(
            _Parameter(
                name=name,
                catch_all=bool(stars),
                optional=tail == "?",
                default=tail[1:] if tail and tail.startswith("=") else None,
                constraints=words,
            )
        )
        pattern += f"(?P<{name}>{'.*' if stars else '[^/]+'})"
        at = found.end()
    return pattern + _literal(segment[at:], template), parameters


def _literal(text: str, template: str) -> str:
    if "{" in text or "}" in text:
        raise RouteError(f"route {template!r}: {text!r} is no parameter that the local host understands")
    return re.escape(text)


def _rank(parameters: list[_Parameter], whole: bool) -> int:
    if not parameters:
        return 0
    if not whole:
        return 1
    if parameters[0].catch_all:
        return 4
    return 2 if parameters[0].constraints else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One function's route: its prefix and template together, and the methods it takes (empty: all)."""

    function: str
    route: Route
    methods: frozenset[str]


def choose(candidates: list[Candidate], *, method: str, path: str) -> tuple[str, Mapping[str, str]] | None:
    """The function that serves `method` `path` and its route parameters; None is the host's 404."""
    best: tuple[tuple[int, ...], str, Mapping[str, str]] | None = None
    for candidate in candidates:
        if candidate.methods and method not in candidate.methods:
            continue
        values = candidate.route.match(path)
        if values is not None and (best is None or candidate.route.order < best[0]):
            best = (candidate.route.order, candidate.function, values)
    return None if best is None else (best[1], best[2])
