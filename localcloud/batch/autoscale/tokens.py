"""Text to tokens. Lines and columns count from 1; a column counts characters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from localcloud.batch.autoscale.errors import FormulaError

Kind = Literal["number", "string", "name", "operator", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a formula and where it begins."""

    kind: Kind
    text: str
    line: int
    column: int


_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n\f\v\ufeff\u00a0]+)
  | (?P<comment>//[^\r\n]*|/\*.*?\*/)
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[$A-Za-z_][A-Za-z0-9_]*)
  | (?P<string>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
  | (?P<operator>&&|\|\||[<>=!]=|/(?!\*)|[-+*<>!?:;,.()=])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a formula, without space and comments, with one `end` at the end. Raises FormulaError."""
    at, line, line_start = 0, 1, 0
    while at < len(text):
        column = at - line_start + 1
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise FormulaError(_unreadable(text, at), line=line, column=column)
        found = match.group()
        yield from _token(match.lastgroup, found, line, column)
        line += found.count("\n")
        if "\n" in found:
            line_start = at + found.rindex("\n") + 1
        at = match.end()
    yield Token("end", "", line, at - line_start + 1)


def _token(group: str, found: str, line: int, column: int) -> Iterator[Token]:
    match group:
        case "number" | "name" | "operator":
            yield Token(group, found, line, column)
        case "string":
            yield Token("string", _ESCAPE.sub(r"\1", found[1:-1]), line, column)


def _unreadable(text: str, at: int) -> str:
    if text[at] in "\"'":
        return "the string is not closed on its line"
    if text.startswith("/*", at):
        return "the comment is not closed"
    return f"unexpected character {text[at]!r}"
