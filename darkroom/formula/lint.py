"""`lint(text)`: what a formula will do that its author did not mean.

The rules come from formulas that people ship: `docs/autoscale.md` has one line on each.
"""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.formula.facts import Facts, facts
from darkroom.formula.finding import Finding
from darkroom.formula.sample_rules import sample_findings
from darkroom.formula.target_rules import target_findings
from localcloud.batch.autoscale import FormulaError, compile_formula
from localcloud.batch.autoscale.syntax import MAX_BYTES, MAX_STATEMENTS, Statement, parse

__all__ = ["Finding", "lint"]


def lint(text: str, *, slots: int | None = None) -> list[Finding]:
    """The findings, by line. `slots` is the pool's task slots per node, where it is known.

    Never raises: a formula that Batch would refuse is a finding too.
    """
    try:
        statements = parse(text)
    except FormulaError as error:
        return [_refused(error)]
    found = [*sample_findings(statements), *target_findings(statements, facts_of_variables(statements), slots=slots)]
    explained = {finding.line for finding in found if finding.code == "counts-samples"}
    return sorted({*found, *_faults(text, explained)})


def facts_of_variables(statements: tuple[Statement, ...]) -> dict[str, Facts]:
    """The facts of every variable at the end of the formula."""
    known: dict[str, Facts] = {}
    for statement in statements:
        if statement.target is not None:
            known[statement.target] = facts(statement.expression, known)
    return known


def _faults(text: str, explained: set[int]) -> Iterator[Finding]:
    try:
        compile_formula(text)
    except FormulaError as error:
        if error.line not in explained:
            yield _refused(error)


def _refused(error: FormulaError) -> Finding:
    fix = "Correct it at this place; learn.microsoft.com/azure/batch/batch-automatic-scaling has the language."
    code = "refused"
    if "bytes" in error.message and "allowed" in error.message:
        code, fix = "too-long", f"Shorten it to {MAX_BYTES} bytes: comments count too."
    elif "statements" in error.message:
        code, fix = "too-many-statements", f"Batch takes {MAX_STATEMENTS}: put expressions together."
    elif "used before" in error.message or "neither" in error.message:
        code, fix = "unknown-variable", "Set it in a statement before this one, or correct its name ($ belongs to it)."
    return Finding(line=error.line, column=error.column, code=code, why=f"Batch refuses it: {error.message}.", fix=fix)
