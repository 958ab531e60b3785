"""Rules about the targets: cap, slots, fractions, the deallocation option, preempted nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from darkroom.formula.facts import TASK_METRICS, Facts, walk
from darkroom.formula.finding import Finding
from localcloud.batch.autoscale.syntax import Name, Node, Statement
from localcloud.batch.autoscale.variables import DEALLOCATION_OPTION, TARGETS

_START = Node(line=1, column=1)


def _finding(node: Node, code: str, why: str, fix: str) -> Finding:
    return Finding(line=node.line, column=node.column, code=code, why=why, fix=fix)


def target_findings(
    statements: tuple[Statement, ...], known: Mapping[str, Facts], *, slots: int | None
) -> Iterator[Finding]:
    """All findings about what the formula asks for."""
    last = {statement.target: statement for statement in statements if statement.target is not None}
    targets = {name: last[name] for name in last if name in TARGETS}
    if not targets:
        yield _finding(
            statements[-1] if statements else _START,
            "no-target",
            "The formula sets no target, so it never changes the pool.",
            "Set $TargetDedicatedNodes or $TargetLowPriorityNodes.",
        )
        return
    for name, statement in targets.items():
        yield from _cap(name, statement, known[name])
        yield from _fraction(name, statement, known[name])
        yield from _slots(name, statement, known[name], slots)
    yield from _deallocation(last, statements[-1])
    yield from _preempted(statements)


def _cap(name: str, statement: Statement, fact: Facts) -> Iterator[Finding]:
    if not fact.bounded:
        yield _finding(
            statement,
            "no-cap",
            f"Nothing limits {name}: one flood of tasks asks for all the quota, and the bill follows.",
            f"{name} = min(cap, …) with a number for cap.",
        )


def _fraction(name: str, statement: Statement, fact: Facts) -> Iterator[Finding]:
    if not fact.whole:
        yield _finding(
            statement,
            "fraction",
            f"{name} can be a fraction and Batch cuts it off: 0.75 nodes are none, and the last tasks wait for ever.",
            "Round up before: (tasks + slots - 1) / slots, or ceil(…); put an average into max(last sample, …).",
        )


def _slots(name: str, statement: Statement, fact: Facts, slots: int | None) -> Iterator[Finding]:
    if slots is None or not fact.metrics & TASK_METRICS or fact.slots:
        return
    if slots > 1 and float(slots) not in fact.divisors:
        yield _finding(
            statement,
            "slots-ignored",
            f"A node runs {slots} tasks at once, and {name} asks for a node a task: {slots} times too many.",
            f"Divide by {slots} (or $TaskSlotsPerNode), rounding up.",
        )


def _deallocation(last: Mapping[str, Statement], end: Statement) -> Iterator[Finding]:
    if DEALLOCATION_OPTION not in last:
        yield _finding(
            end,
            "no-deallocation-option",
            "Without $NodeDeallocationOption Batch takes requeue: running tasks are killed and done again.",
            "$NodeDeallocationOption = taskcompletion;",
        )


def _preempted(statements: tuple[Statement, ...]) -> Iterator[Finding]:
    names = [node for statement in statements for node in walk(statement.expression) if isinstance(node, Name)]
    if any(node.name in {"$PreemptedNodeCount", "$UsableNodeCount"} for node in names):
        return
    for node in names:
        if node.name in {"$CurrentLowPriorityNodes", "$CurrentLowPriority"}:
            yield _finding(
                node,
                "preempted-counted",
                f"{node.name} counts preempted nodes too, which do no work.",
                "Subtract $PreemptedNodeCount, or use $UsableNodeCount.",
            )
            return
