"""What can be known of a value without running the formula: what it is made of, whether it is bounded,
whether whole.

A formula has no loops and no jumps, so the facts of a variable are those of its last assignment, and one
pass from the
first statement to the last knows them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from localcloud.batch.autoscale.syntax import (
    Call,
    Chain,
    Choice,
    Expression,
    Field,
    Method,
    Name,
    Number,
    Unary,
)
from localcloud.batch.autoscale.variables import METRICS, TARGETS, TASK_SLOTS

TASK_METRICS = frozenset({"$ActiveTasks", "$RunningTasks", "$PendingTasks"})
_TRUTHS = frozenset({"<", "<=", "==", "!=", ">=", ">", "&&", "||"})
_ROUNDING = frozenset({"ceil", "floor", "round", "len"})
_BLENDING = frozenset({"avg", "std", "norm", "lg", "ln", "log", "rand"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one value."""

    constant: float | None = None
    """The number that it is, where it is a literal or made of literals only."""
    metrics: frozenset[str] = frozenset()
    """The metrics that went into it."""
    divisors: frozenset[float] = frozenset()
    """The constants that something in it was divided by; a multiplication by 0.25 is a division by 4."""
    windows: bool = False
    """A sample method with a time frame went into it."""
    percent: bool = False
    """A GetSamplePercent went into it."""
    slots: bool = False
    """$TaskSlotsPerNode went into it."""
    bounded: bool = True
    """A number in the formula limits it from above, whatever the metrics say."""
    whole: bool = True
    """It has no fraction, or was rounded up before Batch cuts its fraction off."""
    target: bool = False
    """It is the pool's present target."""
    added: bool = False
    """Something was added last: `tasks + slots - 1`, ready to be divided and cut off."""


Known = Mapping[str, Facts]


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
    match node:
        case Call():
            return node.arguments
        case Method():
            return (node.owner, *node.arguments)
        case Field():
            return (node.owner,)
        case Unary():
            return (node.operand,)
        case Chain():
            return (node.first, *(step.operand for step in node.rest))
        case Choice():
            return (node.test, node.yes, node.no)
    return ()


def walk(node: Expression) -> Iterator[Expression]:
    """The expression and all inside it."""
    yield node
    for child in children(node):
        yield from walk(child)


def facts(node: Expression, known: Known) -> Facts:
    """The facts of an expression; `known` has those of the variables set before it."""
    match node:
        case Number():
            return Facts(constant=node.value, whole=node.value.is_integer())
        case Name():
            return _name(node.name, known)
        case Method():
            return _method(node, known)
        case Call():
            return _call(node, [facts(argument, known) for argument in node.arguments])
        case Chain():
            return _chain(node, [facts(part, known) for part in children(node)])
        case Choice():
            return _choice(*(facts(part, known) for part in children(node)))
        case Unary():
            inner = facts(node.operand, known)
            negative = -inner.constant if inner.constant is not None and node.operator == "-" else None
            return replace(inner, constant=negative, target=False, added=False)
    return _blend(facts(child, known) for child in children(node))


def _blend(parts: Iterable[Facts]) -> Facts:
    """What is made of several values: it is as little bounded and whole as the least of them."""
    parts = list(parts)
    return Facts(
        metrics=frozenset().union(*(part.metrics for part in parts)),
        divisors=frozenset().union(*(part.divisors for part in parts)),
        windows=any(part.windows for part in parts),
        percent=any(part.percent for part in parts),
        slots=any(part.slots for part in parts),
        bounded=all(part.bounded for part in parts),
        whole=all(part.whole for part in parts),
    )


def _name(name: str, known: Known) -> Facts:
    if name in known:
        return known[name]
    if name in METRICS:
        return Facts(metrics=frozenset({name}), bounded=False)
    return Facts(target=name in TARGETS, slots=name == TASK_SLOTS)


def _method(node: Method, known: Known) -> Facts:
    made_of = _blend(facts(child, known) for child in children(node))
    if node.method == "GetSamplePercent":
        return replace(made_of, percent=True, bounded=True, whole=True)
    counted = len(node.arguments) == 1 and facts(node.arguments[0], known).constant is not None
    return replace(made_of, windows=made_of.windows or not counted, whole=True)


def _call(node: Call, parts: list[Facts]) -> Facts:
    made_of = _blend(parts)
    match node.function:
        case "min":
            return replace(made_of, bounded=any(part.bounded for part in parts))
        case "max":
            return replace(made_of, whole=made_of.whole or any(map(_lifts, parts)))
    if node.function in _ROUNDING:
        return replace(made_of, whole=True)
    return replace(made_of, whole=made_of.whole and node.function not in _BLENDING)


def _lifts(part: Facts) -> bool:
    """In a max(): a whole number that is one or more wherever there is work."""
    return part.whole and (part.constant is None or part.constant >= 1) and not part.target


def _choice(test: Facts, yes: Facts, no: Facts) -> Facts:
    either = _blend((yes, no))
    made_of = _blend((test, yes, no))
    return replace(made_of, bounded=either.bounded, whole=either.whole)


def _chain(node: Chain, parts: list[Facts]) -> Facts:
    made_of = _blend(parts)
    signs = [step.operator for step in node.rest]
    if _TRUTHS.intersection(signs):
        return replace(made_of, bounded=True, whole=True)
    return replace(
        made_of,
        constant=_constant(signs, parts),
        divisors=made_of.divisors | _divisors(signs, parts),
        bounded=_chain_bounded(signs, parts),
        whole=_chain_whole(signs, parts),
        added="+" in signs,
    )


def _constant(signs: list[str], parts: list[Facts]) -> float | None:
    value = parts[0].constant
    for sign, part in zip(signs, parts[1:], strict=True):
        if value is None or part.constant is None or (sign == "/" and part.constant == 0):
            return None
        right = part.constant
        value = {"+": value + right, "-": value - right, "*": value * right}.get(sign, value / (right or 1))
    return value


def _divisors(signs: list[str], parts: list[Facts]) -> frozenset[float]:
    if not any(part.metrics & TASK_METRICS for part in parts):
        return frozenset()
    by = {part.constant for sign, part in zip(signs, parts[1:], strict=True) if sign == "/"}
    if "*" in signs:
        by |= {1 / part.constant for part in parts if part.constant is not None and 0 < part.constant < 1}
    return frozenset(value for value in by if value is not None)


def _chain_bounded(signs: list[str], parts: list[Facts]) -> bool:
    grows = "+" in signs or "*" in signs
    raising = [parts[0], *(part for sign, part in zip(signs, parts[1:], strict=True) if sign in "+*")]
    return all(part.bounded and not (grows and part.target) for part in raising)


def _chain_whole(signs: list[str], parts: list[Facts]) -> bool:
    if not any(part.metrics for part in parts):
        return all(
            part.constant is None or part.whole for part in parts
        )  # a share of the present target: no work is lost
    if "/" in signs:
        return parts[0].added or (signs == ["/"] and parts[1].constant == 1)
    if all(part.whole for part in parts):
        return True
    # `x / n + 0.9`, or `+ 1`: rounded up after the division.
    added = [part.constant for sign, part in zip(signs, parts[1:], strict=True) if sign == "+"]
    return any(value is not None and 0.5 <= value <= 1 for value in added)
