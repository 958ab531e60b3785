"""`$filter`: the subset of OData that Batch understands, compiled to a predicate.

Comparisons (eq ne gt ge lt le), and, or, not, parentheses, startswith(property, 'text'); literals: 'text', numbers,
true, false, null, datetime'...' and DateTime'...'.
https://learn.microsoft.com/rest/api/batchservice/odata-filters-in-batch
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from localcloud.batch.wire.instants import parse_duration, parse_time
from localcloud.batch.wire.resources import Value, bad_query

E = TypeVar("E")
Predicate = Callable[[Any], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<time>datetime(?:offset)?'[^']*')
    | (?P<duration>(?:time|duration)'[^']*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<number>-?\d+(?:\.\d+)?(?:[LlFfDdMm])?(?![\w:-]))
    | (?P<bare>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?)
    | (?P<word>[A-Za-z_][\w./]*)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_ORDERINGS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_MAX_DEPTH: Final = 50


def compile_filter(text: str, filterable: Mapping[str, Callable[[E], Value]]) -> Callable[[E], bool]:
    """Raises Refused (InvalidQueryParameterValue) with the reason."""
    return _Parser(text, filterable).parse()


class _Parser:
    def __init__(self, text: str, filterable: Mapping[str, Callable[[Any], Value]]) -> None:
        self._text = text
        self._filterable = {name.lower(): getter for name, getter in filterable.items()}
        self._tokens = self._scan()
        self._at = 0
        self._depth = 0

    def _scan(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        at = 0
        while self._text[at:].strip():
            match = _TOKEN.match(self._text, at)
            if match is None or match.lastgroup is None:
                raise self._wrong(f"unexpected text at position {at}")
            tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        return tokens

    def _wrong(self, reason: str) -> Exception:
        return bad_query("$filter", self._text, reason)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _word(self, *words: str) -> bool:
        kind, text = self._peek()
        return kind == "word" and text.lower() in words

    def _mark(self, mark: str) -> None:
        if self._take()[1] != mark:
            raise self._wrong(f"expected {mark!r}")

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._peek()[0] != "end":
            raise self._wrong(f"unexpected {self._peek()[1]!r}")
        return predicate

    def _or(self) -> Predicate:
        terms = [self._and()]
        while self._word("or"):
            self._take()
            terms.append(self._and())
        return terms[0] if len(terms) == 1 else lambda e: any(term(e) for term in terms)

    def _and(self) -> Predicate:
        terms = [self._not()]
        while self._word("and"):
            self._take()
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else lambda e: all(term(e) for term in terms)

    def _not(self) -> Predicate:
        if self._word("not"):
            self._take()
            inner = self._primary()
            return lambda e: not inner(e)
        return self._primary()

    def _primary(self) -> Predicate:
        if self._peek()[1] == "(":
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise self._wrong("too many parentheses")
            self._take()
            inner = self._or()
            self._mark(")")
            self._depth -= 1
            return inner
        if self._word("startswith"):
            return self._startswith()
        return self._comparison()

    def _startswith(self) -> Predicate:
        self._take()
        self._mark("(")
        getter = self._property()
        self._mark(",")
        kind, literal = self._take()
        if kind != "string":
            raise self._wrong("startswith needs a text")
        self._mark(")")
        prefix = _unquoted(literal).lower()
        return lambda e: str(getter(e) or "").lower().startswith(prefix)

    def _property(self) -> Callable[[Any], Value]:
        kind, name = self._take()
        getter = self._filterable.get(name.lower())
        if kind != "word" or getter is None:
            raise self._wrong(f"{name!r} is not a property that can be filtered on")
        return getter

    def _comparison(self) -> Predicate:
        getter = self._property()
        verb = self._take()[1].lower()
        literal = self._literal()
        if verb in ("eq", "ne"):
            return self._equality(getter, literal, wanted=verb == "eq")
        ordering = _ORDERINGS.get(verb)
        if ordering is None:
            raise self._wrong(f"{verb!r} is not an operator")
        if literal is None or isinstance(literal, bool):
            raise self._wrong(f"{verb!r} needs a text, a number or a time")

        def compare(entity: Any) -> bool:
            value = getter(entity)
            return value is not None and isinstance(value, str) == isinstance(literal, str) and ordering(value, literal)

        return compare

    @staticmethod
    def _equality(getter: Callable[[Any], Value], literal: Value, *, wanted: bool) -> Predicate:
        if isinstance(literal, str):
            folded = literal.lower()  # states and ids are compared without case
            return lambda e: (isinstance(v := getter(e), str) and v.lower() == folded) is wanted
        return lambda e: (getter(e) == literal) is wanted

    def _literal(self) -> Value:
        kind, text = self._take()
        try:
            match kind:
                case "string":
                    return _unquoted(text)
                case "time":
                    return parse_time(text[text.index("'") + 1 : -1])
                case "bare":
                    return parse_time(text)
                case "duration":
                    return parse_duration(text[text.index("'") + 1 : -1])
                case "number":
                    return float(text.rstrip("LlFfDdMm"))
        except ValueError as error:
            raise self._wrong(f"{text!r}: {error}") from error
        if kind == "word" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise self._wrong(f"{text!r} is not a value")


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
