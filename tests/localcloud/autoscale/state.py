"""A pool's state that the tests of the language share."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from localcloud.batch.autoscale import Evaluation, SampleStore, compile_formula

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday
CURRENT: Mapping[str, float] = {
    "$TargetDedicatedNodes": 2,
    "$TargetLowPriorityNodes": 3,
    "$CurrentDedicatedNodes": 2,
    "$CurrentLowPriorityNodes": 3,
    "$PreemptedNodeCount": 1,
    "$TaskSlotsPerNode": 4,
}


def store(minutes: float = 60, *, until: datetime = NOW, **metrics: float) -> SampleStore:
    """A store with a sample of each metric (name without `$`) each 30 s in the last `minutes`."""
    samples = SampleStore()
    at = until - timedelta(minutes=minutes)
    while at <= until:
        samples.record(at, {f"${name}": value for name, value in metrics.items()})
        at += timedelta(seconds=30)
    return samples


def run(text: str, samples: SampleStore | None = None, current: Mapping[str, float] = CURRENT) -> Evaluation:
    """Evaluate at NOW."""
    return compile_formula(text).evaluate(
        now=NOW, samples=samples if samples is not None else SampleStore(), current=current
    )


def value(expression: str, samples: SampleStore | None = None) -> str:
    """The value of one expression, as the results string shows it."""
    evaluation = run(f"x = {expression}", samples)
    if evaluation.error is not None:
        raise AssertionError(evaluation.error.detail)
    return evaluation.variables["x"]


def fault(text: str, samples: SampleStore | None = None) -> str:
    """The detail of the error of an evaluation that fails."""
    evaluation = run(text, samples)
    if evaluation.error is None:
        raise AssertionError(f"no error, but {evaluation.results}")
    return evaluation.error.detail
