"""The type table of the operators. A pair of types that the table does not list is refused, as Batch's page
lists them."""

import math
from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from localcloud.batch.autoscale.values import Interval, Timestamp, Value, Vec, type_name


class TypeMismatchError(Exception):
    """An operator or function does not take a value of this type."""


def divide(left: float, right: float) -> float:
    """IEEE division: x / 0 is an infinity, 0 / 0 is NaN. A target made of them is refused when it is set."""
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _ticks(value: float) -> int:
    if not math.isfinite(value):
        raise OverflowError("the time interval is out of range")
    return round(value)


def _scale(interval: Interval, factor: float) -> Interval:
    return Interval(_ticks(interval.ticks * factor))


Arithmetic = Callable[[float, float], float]
_ARITHMETIC: Final[dict[str, Arithmetic]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
}
_COMPARISON: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lt,
    "<=": le,
    "==": eq,
    ">=": ge,
    ">": gt,
    "!=": ne,
}


def _vec_with_double(apply: Arithmetic) -> Callable[[Vec, float], Value]:
    return lambda vec, number: tuple(apply(item, number) for item in vec)


def _vec_with_vec(apply: Arithmetic) -> Callable[[Vec, Vec], Value]:
    def combine(left: Vec, right: Vec) -> Value:
        if len(left) != len(right):
            raise TypeMismatchError(f"the two doubleVec have {len(left)} and {len(right)} elements")
        return tuple(apply(a, b) for a, b in zip(left, right, strict=True))

    return combine


def _comparing(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Value]:
    return lambda left, right: 1.0 if compare(left, right) else 0.0


def _table() -> dict[tuple[str, type, type], Callable[[Any, Any], Value]]:
    table: dict[tuple[str, type, type], Callable[[Any, Any], Value]] = {}
    for sign, apply in _ARITHMETIC.items():
        table[sign, float, float] = apply
        table[sign, tuple, float] = _vec_with_double(apply)
        table[sign, tuple, tuple] = _vec_with_vec(apply)
    for sign, compare in _COMPARISON.items():
        for kind in (float, str, Timestamp, Interval):
            table[sign, kind, kind] = _comparing(compare)
    table["*", float, Interval] = lambda number, interval: _scale(interval, number)
    table["*", Interval, float] = _scale
    table["/", Interval, float] = lambda a, b: Interval(_ticks(divide(float(a.ticks), b)))
    table["+", Interval, Interval] = lambda a, b: Interval(a.ticks + b.ticks)
    table["-", Interval, Interval] = lambda a, b: Interval(a.ticks - b.ticks)
    table["+", Interval, Timestamp] = lambda a, b: Timestamp(a.ticks + b.ticks)
    table["+", Timestamp, Interval] = lambda a, b: Timestamp(a.ticks + b.ticks)
    table["-", Timestamp, Timestamp] = lambda a, b: Interval(a.ticks - b.ticks)
    return table


_TABLE: Final = _table()


def binary(operator: str, left: Value, right: Value) -> Value:
    """`left operator right`. Raises TypeMismatchError, OverflowError (a time out of range)."""
    apply = _TABLE.get((operator, type(left), type(right)))
    if apply is None:
        raise TypeMismatchError(f"operator '{operator}' is not defined for {type_name(left)} and {type_name(right)}")
    return apply(left, right)


def unary(operator: str, operand: Value) -> Value:
    """`-double`, `!double`, `-timeinterval`. Raises TypeMismatchError."""
    if type(operand) is float:
        return -operand if operator == "-" else float(operand == 0)
    if type(operand) is Interval and operator == "-":
        return Interval(-operand.ticks)
    raise TypeMismatchError(f"operator '{operator}' is not defined for {type_name(operand)}")
