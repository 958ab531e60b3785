"""Tokens to a tree: `parse(text)` gives the statements of a formula. Also the ground that lint stands on."""

from dataclasses import dataclass
from typing import Final

from localcloud.batch.autoscale.errors import FormulaError
from localcloud.batch.autoscale.tokens import Token, tokens

MAX_BYTES: Final = 8192
MAX_STATEMENTS: Final = 100
MAX_DEPTH: Final = 40  # ours: keeps parser and evaluator far from the interpreter's recursion limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where an expression is reported: its operator, the parenthesis of its call, or its only token."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Node):
    """`timestamp.hour`"""

    owner: "Expression"
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """`avg(…)`"""

    function: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Node):
    """`$PendingTasks.GetSample(…)`"""

    owner: "Expression"
    method: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Node):
    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Node):
    """One more operand of a chain: `+ b` in `a + b - c`."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Node):
    """Operators of one precedence, from left to right. A list and not a left-deep tree: its length is
    bounded by the text only."""

    first: "Expression"
    rest: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Node):
    """`test ? yes : no`"""

    test: "Expression"
    yes: "Expression"
    no: "Expression"


Expression = Number | Text | Name | Field | Call | Method | Unary | Chain | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Node):
    """`target = expression`, or an expression alone (`stop()`): then `target` is None."""

    target: str | None
    expression: Expression


_LEVELS: Final = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/"))


def parse(text: str) -> tuple[Statement, ...]:
    """Parse a formula of at most 8 KB and 100 statements. Raises FormulaError with the place."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise FormulaError(f"the formula has {size} bytes; at most {MAX_BYTES} are allowed", line=1, column=1)
    return _Parser(text).formula()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, *operators: str) -> bool:
        token = self._next
        return token.kind == "operator" and token.text in operators

    def _expect(self, operator: str) -> Token:
        if not self._is(operator):
            raise self._unexpected(f"expected '{operator}'")
        return self._take()

    def _unexpected(self, wanted: str) -> FormulaError:
        token = self._next
        found = "the end of the formula" if token.kind == "end" else repr(token.text)
        return FormulaError(f"{wanted}, found {found}", line=token.line, column=token.column)

    def formula(self) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        while not self._ended():
            if self._is(";"):
                self._take()
                continue
            if len(statements) == MAX_STATEMENTS:
                token = self._next
                raise FormulaError(f"more than {MAX_STATEMENTS} statements", line=token.line, column=token.column)
            statements.append(self._statement())
            if not self._ended():
                self._expect(";")
        return tuple(statements)

    def _ended(self) -> bool:
        return self._next.kind == "end"

    def _statement(self) -> Statement:
        start = self._next
        following = self._tokens[self._at + 1] if start.kind == "name" else None
        if following is not None and (following.kind, following.text) == ("operator", "="):
            self._at += 2
            return Statement(target=start.text, expression=self._expression(), line=start.line, column=start.column)
        return Statement(target=None, expression=self._expression(), line=start.line, column=start.column)

    def _expression(self) -> Expression:
        self._deeper()
        test = self._chain(0)
        if self._is("?"):
            mark = self._take()
            yes = self._expression()
            self._expect(":")
            test = Choice(test=test, yes=yes, no=self._expression(), line=mark.line, column=mark.column)
        self._depth -= 1
        return test

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            token = self._next
            raise FormulaError(
                f"the expression is nested more than {MAX_DEPTH} deep", line=token.line, column=token.column
            )

    def _chain(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        first = self._chain(level + 1)
        steps: list[Step] = []
        while self._is(*_LEVELS[level]):
            mark = self._take()
            operand = self._chain(level + 1)
            steps.append(Step(operator=mark.text, operand=operand, line=mark.line, column=mark.column))
        if not steps:
            return first
        return Chain(first=first, rest=tuple(steps), line=steps[0].line, column=steps[0].column)

    def _unary(self) -> Expression:
        if not self._is("-", "!"):
            return self._postfix()
        self._deeper()
        mark = self._take()
        operand = self._unary()
        self._depth -= 1
        return Unary(operator=mark.text, operand=operand, line=mark.line, column=mark.column)

    def _postfix(self) -> Expression:
        value = self._primary()
        hops = 0
        while self._is("."):
            hops += 1
            if hops > MAX_DEPTH:
                raise self._unexpected(f"more than {MAX_DEPTH} members in a row")
            self._take()
            if self._next.kind != "name":
                raise self._unexpected("expected the name of a member after '.'")
            member = self._take()
            if self._is("("):
                mark = self._next
                value = Method(
                    owner=value,
                    method=member.text,
                    arguments=self._arguments(),
                    line=mark.line,
                    column=mark.column,
                )
            else:
                value = Field(owner=value, field=member.text, line=member.line, column=member.column)
        return value

    def _primary(self) -> Expression:
        token = self._next
        if self._is("("):
            self._take()
            inner = self._expression()
            self._expect(")")
            return inner
        match token.kind:
            case "number":
                self._take()
                return Number(value=float(token.text), line=token.line, column=token.column)
            case "string":
                self._take()
                return Text(value=token.text, line=token.line, column=token.column)
            case "name":
                self._take()
                if self._is("("):
                    mark = self._next
                    return Call(function=token.text, arguments=self._arguments(), line=mark.line, column=mark.column)
                return Name(name=token.text, line=token.line, column=token.column)
        raise self._unexpected("expected a value")

    def _arguments(self) -> tuple[Expression, ...]:
        self._expect("(")
        arguments: list[Expression] = []
        if not self._is(")"):
            arguments.append(self._expression())
            while self._is(","):
                self._take()
                arguments.append(self._expression())
        self._expect(")")
        return tuple(arguments)
