"""A compiled formula and what an evaluation of it gives."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from localcloud.batch.autoscale.compiler import compile_statements
from localcloud.batch.autoscale.errors import EvaluationError, FormulaError
from localcloud.batch.autoscale.frame import Frame, Program, StopEvaluation
from localcloud.batch.autoscale.samples import SampleStore
from localcloud.batch.autoscale.syntax import Statement, parse
from localcloud.batch.autoscale.values import Timestamp, Value, render
from localcloud.batch.autoscale.variables import (
    DEALLOCATION_OPTION,
    DEALLOCATION_OPTIONS,
    DEFAULT_DEALLOCATION,
    FULL_NAMES,
    SETTABLE,
    TARGET_DEDICATED,
    TARGET_LOW_PRIORITY,
)

MAX_TARGET: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The outcome of one run. With an `error` the targets are the pool's present ones: nothing changes.

    `results` is Batch's results string; `variables` holds the user's variables as rendered there.
    """

    target_dedicated: int
    target_low_priority: int
    deallocation_option: str
    results: str
    error: EvaluationError | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


class Formula:
    """A formula ready to run: `text`, its `statements`, and `evaluate`. Immutable; safe to share."""

    __slots__ = ("_program", "statements", "text")

    def __init__(self, text: str, statements: tuple[Statement, ...], program: Program) -> None:
        self.text = text
        self.statements = statements
        self._program = program

    def evaluate(
        self,
        *,
        now: datetime,
        samples: SampleStore,
        current: Mapping[str, float],
        rand: Callable[[], float] | None = None,
    ) -> Evaluation:
        """Run the formula at `now` (with a time zone) against the published samples and the pool's current
        values.

        `current` holds numbers by service-defined name: `$TargetDedicatedNodes`, `$TargetLowPriorityNodes`,
        `$CurrentDedicatedNodes`, `$CurrentLowPriorityNodes`, `$PreemptedNodeCount`, `$TaskSlotsPerNode`, … A
        metric
        that is used as a number has its value there, or else is its latest published sample.
        `rand` gives the values of rand(); without it they follow from `now`, so that a run can be repeated.

        Never raises for what is wrong with the formula or the samples: that is `Evaluation.error`.
        """
        moment = Timestamp.of(now)
        frame = Frame(
            now=moment,
            samples=samples,
            current=current,
            rand=rand or random.Random(moment.ticks).random,  # noqa: S311 - the language's rand(), not a secret
        )
        try:
            self._run(frame)
            return _evaluation(frame)
        except FormulaError as error:
            return failed_evaluation(error, current)

    def _run(self, frame: Frame) -> None:
        try:
            for step in self._program:
                step(frame)
        except StopEvaluation:
            return


def compile_formula(text: str) -> Formula:
    """Compile a formula. Raises FormulaError (line, column, message, code) for what can be known without a
    pool:

    syntax, limits (8 KB, 100 statements), unknown functions and methods, variables used before they are set,
    assignments to read-only variables.
    """
    statements = parse(text)
    return Formula(text, statements, compile_statements(statements))


def failed_evaluation(error: FormulaError, current: Mapping[str, float]) -> Evaluation:
    """The evaluation that Batch reports for a formula that cannot run: an error, and the present targets."""
    dedicated = int(current.get(TARGET_DEDICATED, 0))
    low_priority = int(current.get(TARGET_LOW_PRIORITY, 0))
    return Evaluation(
        target_dedicated=dedicated,
        target_low_priority=low_priority,
        deallocation_option=DEFAULT_DEALLOCATION,
        results=_results(dedicated, low_priority, DEFAULT_DEALLOCATION, {}),
        error=error.as_evaluation_error(),
    )


def _evaluation(frame: Frame) -> Evaluation:
    dedicated = _target(frame, TARGET_DEDICATED)
    low_priority = _target(frame, TARGET_LOW_PRIORITY)
    option = _option(frame)
    variables = {name: render(frame.variables[name]) for name in sorted(frame.variables) if name not in SETTABLE}
    return Evaluation(
        target_dedicated=dedicated,
        target_low_priority=low_priority,
        deallocation_option=option,
        results=_results(dedicated, low_priority, option, variables),
        variables=MappingProxyType(variables),
    )


def _assigned(frame: Frame, full_name: str) -> tuple[str, Value] | None:
    for name in (full_name, FULL_NAMES.get(full_name, full_name)):
        if name in frame.variables:
            return name, frame.variables[name]
    return None


def _target(frame: Frame, full_name: str) -> int:
    """The target as a whole number: a fraction is cut off. Raises FormulaError at the assignment that set
    it."""
    assigned = _assigned(frame, full_name)
    if assigned is None:
        return int(frame.current.get(full_name, 0))
    name, value = assigned
    line, column = frame.places[name]
    if type(value) is not float:
        raise FormulaError(f"{name} must be a double", line=line, column=column)
    if math.isnan(value) or value <= -1 or value > MAX_TARGET:
        raise FormulaError(f"{name} is {render(value)}; allowed are 0 to {MAX_TARGET}", line=line, column=column)
    return int(value)


def _option(frame: Frame) -> str:
    value = frame.variables.get(DEALLOCATION_OPTION, DEFAULT_DEALLOCATION)
    if value not in DEALLOCATION_OPTIONS:
        line, column = frame.places[DEALLOCATION_OPTION]
        allowed = ", ".join(DEALLOCATION_OPTIONS)
        raise FormulaError(f"{DEALLOCATION_OPTION} must be one of {allowed}", line=line, column=column)
    return str(value)


def _results(dedicated: int, low_priority: int, option: str, variables: Mapping[str, str]) -> str:
    words = [
        f"{TARGET_DEDICATED}={dedicated}",
        f"{TARGET_LOW_PRIORITY}={low_priority}",
        f"{DEALLOCATION_OPTION}={option}",
    ]
    return ";".join(words + [f"{name}={text}" for name, text in variables.items()])
