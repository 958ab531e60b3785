"""The predefined functions, but for `time`, `rand` and `stop`, which need the evaluation around them.

Where Batch's page leaves a choice: `std` is the sample deviation (n - 1; of fewer than two values it is an
error);
`percentile` takes p from 0 to 100 and gives an element of the vector (nearest rank); `round` goes away from
zero;
`avg`, `max`, `min` and `range` of nothing are errors; logarithms of 0 and below are -Infinity and NaN.
"""

import math
from collections.abc import Callable
from typing import Final

from localcloud.batch.autoscale.operators import TypeMismatchError
from localcloud.batch.autoscale.values import Value, Vec, type_name

Function = Callable[[tuple[Value, ...]], Value]


def flatten(arguments: tuple[Value, ...]) -> Vec:
    """A doubleVecList as one doubleVec: `avg(v, 7)` is `avg(1, 2, 3, 7)`. Raises TypeMismatchError."""
    flat: list[float] = []
    for argument in arguments:
        if type(argument) is float:
            flat.append(argument)
        elif type(argument) is tuple:
            flat.extend(argument)
        else:
            raise TypeMismatchError(f"expected double or doubleVec, found {type_name(argument)}")
    return tuple(flat)


def number(value: Value) -> float:
    """The value where it is a double. Raises TypeMismatchError."""
    if type(value) is not float:
        raise TypeMismatchError(f"expected double, found {type_name(value)}")
    return value


def _of_some(name: str, reduce: Callable[[Vec], float], least: int = 1) -> Function:
    def apply(arguments: tuple[Value, ...]) -> Value:
        values = flatten(arguments)
        if len(values) < least:
            raise TypeMismatchError(f"{name}() needs at least {least} value{'s'[: least - 1]}, found {len(values)}")
        return float(reduce(values))

    return apply


def _of_any(reduce: Callable[[Vec], float]) -> Function:
    return lambda arguments: float(reduce(flatten(arguments)))


def _each(name: str, apply: Callable[[float], float]) -> Function:
    """double → double; doubleVec, or more than one argument → doubleVec."""

    def mapped(arguments: tuple[Value, ...]) -> Value:
        if len(arguments) == 1 and type(arguments[0]) is float:
            return apply(arguments[0])
        if not arguments:
            raise TypeMismatchError(f"{name}() needs a value")
        return tuple(apply(item) for item in flatten(arguments))

    return mapped


def _log(base: Callable[[float], float]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        if value == 0:
            return -math.inf
        return math.nan if value < 0 or math.isnan(value) else base(value)

    return apply


def _whole(toward: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(toward(value)) if math.isfinite(value) else value


def _away_from_zero(value: float) -> int:
    down = math.floor(abs(value))
    up = down + (abs(value) - down >= 0.5)
    return int(math.copysign(up, value))


def _std(values: Vec) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) * (value - mean) for value in values) / (len(values) - 1))


def _two_arguments(name: str, arguments: tuple[Value, ...]) -> tuple[Vec, float]:
    if len(arguments) != 2:
        raise TypeMismatchError(f"{name}() takes a doubleVec and a double, found {len(arguments)} arguments")
    return flatten(arguments[:1]), number(arguments[1])


def _percentile(arguments: tuple[Value, ...]) -> Value:
    values, rank = _two_arguments("percentile", arguments)
    if not values or not 0 <= rank <= 100:
        raise TypeMismatchError("percentile() needs a doubleVec with elements and a percentage from 0 to 100")
    return sorted(values)[max(0, math.ceil(rank / 100 * len(values)) - 1)]


def _val(arguments: tuple[Value, ...]) -> Value:
    values, index = _two_arguments("val", arguments)
    if not 0 <= index < len(values):
        raise TypeMismatchError(f"val(): there is no element {index:g} in a doubleVec of {len(values)}")
    return values[int(index)]


FUNCTIONS: Final[dict[str, Function]] = {
    "avg": _of_some("avg", lambda values: sum(values) / len(values)),
    "ceil": _each("ceil", _whole(math.ceil)),
    "floor": _each("floor", _whole(math.floor)),
    "len": _of_any(len),
    "lg": _each("lg", _log(math.log2)),
    "ln": _each("ln", _log(math.log)),
    "log": _each("log", _log(math.log10)),
    "max": _of_some("max", max),
    "min": _of_some("min", min),
    "norm": _of_any(lambda values: math.hypot(*values)),
    "percentile": _percentile,
    "range": _of_some("range", lambda values: max(values) - min(values)),
    "round": _each("round", _whole(_away_from_zero)),
    "std": _of_some("std", _std, least=2),
    "sum": _of_any(sum),
    "val": _val,
    "vec": flatten,
}
