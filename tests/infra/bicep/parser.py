"""From a template's text to its syntax tree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.infra.bicep.syntax import (
    Access,
    Array,
    BicepError,
    Call,
    Decorator,
    File,
    For,
    Literal,
    Name,
    Node,
    Object,
    Operation,
    Output,
    Parameter,
    Resource,
    Template,
    Variable,
)

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)|(?P<newline>\n)|(?P<string>')|(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>\?\?|\|\||&&|==|!=|=~|!~|<=|>=|=>|[{}()\[\],:.=@?!<>+\-*/%])",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", "$": "$"}
_LEVELS = (("??",), ("||",), ("&&",), ("==", "!=", "=~", "!~"), ("<=", ">=", "<", ">"), ("+", "-"), ("*", "/", "%"))
_TYPES = {"string", "int", "bool", "array", "object"}


@dataclass(frozen=True, slots=True)
class Token:
    line: int
    kind: str
    text: str
    value: Node | None = None


def parse(path: Path) -> File:
    """The tree of the template at `path`. Raises BicepError."""
    tokens, _ = _tokens(path.read_text(encoding="utf-8"), 0, 1, str(path), inside=False)
    return _Parser(tokens, str(path)).file()


def _tokens(text: str, at: int, line: int, path: str, *, inside: bool) -> tuple[list[Token], int]:
    """Tokens from `at` on; of an interpolation (`inside`), up to its closing brace. Also where it ended."""
    found: list[Token] = []
    depth = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BicepError(f"{path}:{line}: cannot read {text[at : at + 10]!r}")
        kind, word = str(match.lastgroup), match.group()
        if kind == "string":
            value, at = _string(text, at, line, path)
            found.append(Token(line, "string", "", value))
            continue
        at = match.end()
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
            if inside and depth < 0:
                return [*found, Token(line, "end", "")], at
        if kind != "space":
            found.append(Token(line, kind, word))
        line += word.count("\n")
    return [*found, Token(line, "end", "")], at


def _string(text: str, at: int, line: int, path: str) -> tuple[Node, int]:
    if text.startswith("'''", at):
        end = text.index("'''", at + 3)
        return Literal(line, text[at + 3 : end].removeprefix("\n")), end + 3
    parts: list[str | Node] = []
    run = ""
    at += 1
    while text[at] != "'":
        if text[at] == "\n":
            raise BicepError(f"{path}:{line}: a string does not end")
        if text[at] == "\\":
            run += _ESCAPES[text[at + 1]]
            at += 2
        elif text.startswith("${", at):
            tokens, at = _tokens(text, at + 2, line, path, inside=True)
            parts += [run, _Parser(tokens, path).whole()]
            run = ""
        else:
            run += text[at]
            at += 1
    if not parts:
        return Literal(line, run), at + 1
    return Template(line, tuple(part for part in [*parts, run] if part != "")), at + 1


class _Parser:
    def __init__(self, tokens: list[Token], path: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._path = path

    def file(self) -> File:
        file = File(self._path)
        while True:
            self._lines()
            if self._now.kind == "end":
                return file
            self._declaration(file)

    def whole(self) -> Node:
        node = self._expression()
        if self._now.kind != "end":
            raise self._error("end of the expression")
        return node

    def _declaration(self, file: File) -> None:
        decorators = []
        while self._take("@"):
            name = self._name()
            decorators.append(Decorator(name, self._arguments() if self._take("(") else ()))
            self._lines()
        line, word = self._now.line, self._name()
        if word == "targetScope":
            self._must("=")
            scope = self._expression()
            file.scope = str(scope.value) if isinstance(scope, Literal) else ""
            return
        name = self._name()
        taken = file.outputs if word == "output" else {**file.parameters, **file.variables, **file.resources}
        if name in taken:
            raise BicepError(f"{self._path}:{line}: {name} is declared twice")
        if word == "param":
            kind = self._type()
            default = self._expression() if self._take("=") else None
            file.parameters[name] = Parameter(line, name, kind, default, tuple(decorators))
        elif word == "var":
            self._must("=")
            file.variables[name] = Variable(line, name, self._loop_or_expression())
        elif word in ("resource", "module"):
            file.resources[name] = self._resource(line, name, module=word == "module")
        elif word == "output":
            kind = self._type()
            self._must("=")
            file.outputs[name] = Output(line, name, kind, self._loop_or_expression())
        else:
            raise BicepError(f"{self._path}:{line}: {word} is no declaration that this reads")

    def _resource(self, line: int, name: str, *, module: bool) -> Resource:
        what = self._now.value
        if not isinstance(what, Literal) or not isinstance(what.value, str):
            raise self._error("a resource type or a module's path")
        self._at += 1
        existing = self._take_name("existing")
        self._must("=")
        condition = None
        if self._take_name("if"):
            self._must("(")
            condition = self._expression()
            self._must(")")
        return Resource(line, name, what.value, module, existing, condition, self._loop_or_expression())

    def _loop_or_expression(self) -> Node:
        start = self._at
        line = self._now.line
        if not (self._take("[") and self._take_name("for")):
            self._at = start
            return self._expression()
        index = None
        if self._take("("):
            item = self._name()
            self._must(",")
            index = self._name()
            self._must(")")
        else:
            item = self._name()
        if not self._take_name("in"):
            raise self._error("'in'")
        over = self._expression()
        self._must(":")
        body = self._expression()
        self._must("]")
        return For(line, item, index, over, body)

    def _expression(self) -> Node:
        line, condition = self._now.line, self._level(0)
        if not self._take("?"):
            return condition
        self._lines()
        then = self._expression()
        self._lines()
        self._must(":")
        self._lines()
        return Operation(line, "?", (condition, then, self._expression()))

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._level(level + 1)
        while self._now.kind == "mark" and self._now.text in _LEVELS[level]:
            line, operator = self._now.line, self._now.text
            self._at += 1
            node = Operation(line, operator, (node, self._level(level + 1)))
        return node

    def _unary(self) -> Node:
        line = self._now.line
        for operator in ("!", "-"):
            if self._take(operator):
                return Operation(line, operator, (self._unary(),))
        node = self._primary()
        while True:
            line = self._now.line
            if self._take("."):
                node = Access(line, node, Literal(line, self._name()))
            elif self._take("["):
                node = Access(line, node, self._expression())
                self._must("]")
            else:
                return node

    def _primary(self) -> Node:
        token = self._now
        self._at += 1
        if token.kind == "string" and token.value is not None:
            return token.value
        if token.kind == "number":
            return Literal(token.line, int(token.text))
        if token.kind == "name":
            known = {"true": True, "false": False, "null": None}
            if token.text in known:
                return Literal(token.line, known[token.text])
            return Call(token.line, token.text, self._arguments()) if self._take("(") else Name(token.line, token.text)
        if token.text == "(":
            node = self._expression()
            self._must(")")
            return node
        if token.text == "[":
            return Array(token.line, self._items("]"))
        if token.text == "{":
            return self._object(token.line)
        self._at -= 1
        raise self._error("an expression")

    def _object(self, line: int) -> Object:
        entries: list[tuple[Node, Node]] = []
        children: list[Resource] = []
        while True:
            self._lines(commas=True)
            if self._take("}"):
                return Object(line, tuple(entries), tuple(children))
            here = self._now
            if here.text == "resource" and self._tokens[self._at + 1].kind == "name":
                self._at += 1
                children.append(self._resource(here.line, self._name(), module=False))
                continue
            key = here.value if here.kind == "string" else Literal(here.line, here.text)
            if key is None or here.kind not in ("string", "name"):
                raise self._error("a property's name")
            self._at += 1
            self._must(":")
            entries.append((key, self._loop_or_expression()))

    def _items(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while True:
            self._lines(commas=True)
            if self._take(end):
                return tuple(items)
            items.append(self._expression())

    def _arguments(self) -> tuple[Node, ...]:
        return self._items(")")

    def _type(self) -> str:
        kind = self._name()
        if kind not in _TYPES:
            raise self._error("a type: " + ", ".join(sorted(_TYPES)))
        return kind

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _lines(self, *, commas: bool = False) -> None:
        while self._now.kind == "newline" or (commas and self._now.text == ","):
            self._at += 1

    def _take(self, mark: str) -> bool:
        if self._now.kind == "mark" and self._now.text == mark:
            self._at += 1
            return True
        return False

    def _take_name(self, word: str) -> bool:
        if self._now.kind == "name" and self._now.text == word:
            self._at += 1
            return True
        return False

    def _must(self, mark: str) -> None:
        if not self._take(mark):
            raise self._error(repr(mark))

    def _name(self) -> str:
        if self._now.kind != "name":
            raise self._error("a name")
        self._at += 1
        return self._tokens[self._at - 1].text

    def _error(self, wanted: str) -> BicepError:
        found = self._now.text or self._now.kind
        return BicepError(f"{self._path}:{self._now.line}: {wanted} is expected, not {found!r}")
