"""Explores every schedule of a scenario, and counts them.

Stateless exploration with a memory: each schedule is run again from the start (actors are ordinary coroutines, which
cannot be copied), and a schedule that reaches a state seen before is not followed further.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from tests.model.schedule import Budget, Fate, Run, Scenario, Stage, Step


@dataclass(kw_only=True)
class Report:
    """What was explored."""

    states: int = 0
    runs: int = 0
    steps: int = 0
    schedules: int = 0
    """Complete schedules that the states stand for: every path from the start to an end."""
    crashes: int = 0
    """Distinct states right after a crash."""


class ViolationError(AssertionError):
    """An invariant broke. The message tells the schedule that breaks it."""


def explore(
    make: Callable[[Stage], Scenario],
    *,
    budget: Budget,
    most_states: int,
    lost_error: Callable[[str], Exception] = ConnectionError,
    refused_error: Callable[[str], Exception] = ConnectionRefusedError,
) -> Report:
    """Follows every schedule. Raises ViolationError where an invariant breaks, RuntimeError above `most_states`."""
    report = Report()
    root: Hashable = "start"
    edges: dict[Hashable, set[tuple[Step, Hashable]]] = {root: set()}
    ends: set[Hashable] = set()
    todo: list[tuple[Step, ...]] = [()]
    while todo:
        prefix = todo.pop()
        report.runs += 1
        run = _begin(make, budget, lost_error, refused_error)
        try:
            run.start()
            for step in prefix[:-1]:
                run.apply(step)
            parent = root if not prefix else run.state()
            last = prefix[-1] if prefix else Step("", -1, Fate.ANSWERED, "start")
            if prefix:
                run.apply(last)
                run.scenario.always()
            while True:
                report.steps += 1
                here = run.state()
                edges[parent].add((last, here))
                if here in edges:
                    break
                edges[here] = set()
                if len(edges) > most_states:
                    raise RuntimeError(f"more than {most_states} states: make the scenario smaller")
                if last.fate in (Fate.CRASH_BEFORE, Fate.CRASH_AFTER):
                    report.crashes += 1
                choices = run.choices()
                if not choices:
                    ends.add(here)
                    run.end()
                    break
                todo += [(*run.path, other) for other in choices[1:]]
                parent, last = here, choices[0]
                run.apply(last)
                run.scenario.always()
        except AssertionError as error:
            raise ViolationError(_story(run, error)) from error
        finally:
            run.close()
    report.states = len(edges) - 1
    report.schedules = _paths(edges, root, ends)
    return report


def _begin(
    make: Callable[[Stage], Scenario],
    budget: Budget,
    lost_error: Callable[[str], Exception],
    refused_error: Callable[[str], Exception],
) -> Run:
    stage = Stage(lost_error=lost_error, refused_error=refused_error)
    return Run(scenario=make(stage), stage=stage, budget=budget)


def _paths(edges: Mapping[Hashable, set[tuple[Step, Hashable]]], root: Hashable, ends: set[Hashable]) -> int:
    """How many paths lead from the root to an end. States form no cycle, since histories only grow."""
    counts: dict[Hashable, int] = dict.fromkeys(ends, 1)
    stack = [root]
    while stack:
        state = stack[-1]
        if state in counts:
            stack.pop()
            continue
        missing = [child for _, child in edges[state] if child not in counts]
        if missing:
            stack += missing
            continue
        counts[state] = sum(counts[child] for _, child in edges[state])
        stack.pop()
    return counts[root]


def _story(run: Run, error: AssertionError) -> str:
    lines = [f"  {n}. {step.actor or 'time'}: {step.label} [{step.fate}]" for n, step in enumerate(run.path, 1)]
    return "\n".join([f"{error}", "after this schedule:", *lines])
