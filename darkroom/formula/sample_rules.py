"""Rules about reading samples."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.formula.facts import TASK_METRICS, Facts, Known, children, facts, walk
from darkroom.formula.finding import Finding
from localcloud.batch.autoscale.syntax import Chain, Choice, Expression, Method, Name, Node, Number, Statement
from localcloud.batch.autoscale.variables import METRICS

# Numbers by nature: Microsoft's own examples calculate with them as they are.
_COUNTS_OF_NODES = frozenset({"$CurrentDedicatedNodes", "$CurrentLowPriorityNodes", "$CurrentDedicated"}) | {
    "$CurrentLowPriority"
}


def _finding(node: Node, code: str, why: str, fix: str) -> Finding:
    return Finding(line=node.line, column=node.column, code=code, why=why, fix=fix)


def sample_findings(statements: tuple[Statement, ...]) -> Iterator[Finding]:
    """All findings about samples, in the order of the formula."""
    known: dict[str, Facts] = {}
    for statement in statements:
        yield from _metrics_as_numbers(statement.expression)
        yield from _counted_samples(statement.expression)
        yield from _unguarded(statement.expression, known, guarded=False)
        if statement.target is not None:
            known[statement.target] = facts(statement.expression, known)
    yield from _single_samples(statements)
    yield from _only_active(statements)


def _metrics_as_numbers(node: Expression) -> Iterator[Finding]:
    if isinstance(node, Name) and node.name in METRICS - _COUNTS_OF_NODES:
        yield _finding(
            node,
            "metric-as-number",
            f"{node.name} is a metric with a history, not a number; what Batch takes for it is not documented.",
            f"Read it: max({node.name}.GetSample(TimeInterval_Minute * 3)), guarded by GetSamplePercent.",
        )
    inside = node.arguments if isinstance(node, Method) and isinstance(node.owner, Name) else children(node)
    for child in inside:
        yield from _metrics_as_numbers(child)


def _counted_samples(expression: Expression) -> Iterator[Finding]:
    for node in walk(expression):
        if not (isinstance(node, Method) and node.method == "Count"):
            continue
        yield _finding(
            node,
            "counts-samples",
            "Count() says how many samples there are, not how many tasks: two for each minute, work or no work.",
            "Take the value of the samples: max(….GetSample(…)) or avg(….GetSample(…)).",
        )


def _unguarded(node: Expression, known: Known, *, guarded: bool) -> Iterator[Finding]:
    """GetSample over a time frame that fails where samples are missing, and nothing that asked before."""
    if isinstance(node, Method) and node.method == "GetSample" and not guarded and _may_fail(node, known):
        yield _finding(
            node,
            "no-sample-guard",
            "Where fewer than 70 % of these samples are published (a new pool, a gap) the evaluation fails "
            "(InsufficientSampleData) and the pool keeps its size.",
            "Ask first: $x.GetSamplePercent(span) < 70 ? … : ….GetSample(span), or state the share as last argument.",
        )
    if isinstance(node, Choice):
        yield from _unguarded(node.test, known, guarded=guarded)
        asked = guarded or facts(node.test, known).percent
        yield from _unguarded(node.yes, known, guarded=asked)
        yield from _unguarded(node.no, known, guarded=asked)
    elif isinstance(node, Chain) and node.rest[0].operator in {"&&", "||"}:
        for part in children(node):
            yield from _unguarded(part, known, guarded=guarded)
            guarded = guarded or facts(part, known).percent
    else:
        for child in children(node):
            yield from _unguarded(child, known, guarded=guarded)


def _may_fail(node: Method, known: Known) -> bool:
    """A count never fails; a stated percentage is the author's decision to fail."""
    return bool(node.arguments) and facts(node.arguments[-1], known).constant is None


def _single_samples(statements: tuple[Statement, ...]) -> Iterator[Finding]:
    """GetSample(1) with nothing in the formula that knows how old it is."""
    nodes = [node for statement in statements for node in walk(statement.expression)]
    methods = [node for node in nodes if isinstance(node, Method)]
    known: dict[str, Facts] = {}
    for statement in statements:
        if statement.target is not None:
            known[statement.target] = facts(statement.expression, known)
    if any(
        node.method == "GetSamplePercent" or (node.method == "GetSample" and _framed(node, known)) for node in methods
    ):
        return
    for node in methods:
        if node.method == "GetSample" and isinstance(node.arguments[0], Number) and node.arguments[0].value == 1:
            yield _finding(
                node,
                "single-sample",
                "GetSample(1) is the last sample however old it is: after a gap the pool follows a number of long ago.",
                "Use a time frame beside it, or ask GetSamplePercent whether samples are coming.",
            )


def _framed(node: Method, known: Known) -> bool:
    return len(node.arguments) > 1 or (len(node.arguments) == 1 and facts(node.arguments[0], known).constant is None)


def _only_active(statements: tuple[Statement, ...]) -> Iterator[Finding]:
    names = [
        node
        for statement in statements
        for node in walk(statement.expression)
        if isinstance(node, Name) and node.name in TASK_METRICS
    ]
    if {node.name for node in names} == {"$ActiveTasks"}:
        yield _finding(
            names[0],
            "only-active-tasks",
            "$ActiveTasks leaves out the tasks that run: when all run, the formula wants no nodes and takes them away.",
            "Use $PendingTasks, which is waiting and running tasks together.",
        )
