"""The methods of a metric: GetSample, GetSamplePercent, GetSamplePeriod, Count, HistoryBeginTime.

A time frame is given by timestamps, or by intervals that look back from now; its two ends may come in either
order,
as both are found in Microsoft's examples. A GetSample over a time frame without a percentage wants 70
percent: seen on
Azure ("Insufficient data from data set: $PendingTasks wanted 70%, received 0%", Azure/batch-shipyard#138).
GetSample(count) wants nothing: it gives what there is.
"""

from collections.abc import Callable
from typing import Final

from localcloud.batch.autoscale.functions import number
from localcloud.batch.autoscale.operators import TypeMismatchError
from localcloud.batch.autoscale.samples import SampleStore
from localcloud.batch.autoscale.values import TICKS_PER_SECOND, Interval, Timestamp, Value, type_name

DEFAULT_PERCENT: Final = 70.0

Arguments = tuple[Value, ...]
SampleMethod = Callable[[SampleStore, str, Timestamp, Arguments], Value]


class NotEnoughSamplesError(Exception):
    """Fewer samples are published than the formula wants."""


def _moment(value: Value, now: Timestamp) -> float:
    match value:
        case Timestamp():
            return value.seconds
        case Interval():
            return (now.ticks - value.ticks) / TICKS_PER_SECOND
    raise TypeMismatchError(f"expected timestamp or timeinterval, found {type_name(value)}")


def _frame(bounds: Arguments, now: Timestamp) -> tuple[float, float]:
    start = _moment(bounds[0], now)
    end = _moment(bounds[1], now) if len(bounds) == 2 else now.seconds
    return (start, end) if start <= end else (end, start)


def _get_sample(samples: SampleStore, metric: str, now: Timestamp, arguments: Arguments) -> Value:
    if len(arguments) == 1 and type(arguments[0]) is float:
        return samples.latest(metric, now.seconds, _count(arguments[0]))
    wanted = DEFAULT_PERCENT
    bounds = arguments
    if len(arguments) > 1 and type(arguments[-1]) is float:
        wanted, bounds = number(arguments[-1]), arguments[:-1]
    if len(bounds) not in {1, 2}:
        raise TypeMismatchError("takes a count, or one or two times and a percentage")
    start, end = _frame(bounds, now)
    received = samples.percent(metric, now.seconds, start, end)
    if received < wanted:
        raise NotEnoughSamplesError(
            f"Insufficient data from data set: {metric} wanted {wanted:g}%, received {received:.0f}%"
        )
    return samples.between(metric, now.seconds, start, end)


def _count(value: float) -> int:
    if not 0 < value <= 1e9:
        raise TypeMismatchError(f"a count of samples must be above 0, found {value:g}")
    return int(value)


def _get_sample_percent(samples: SampleStore, metric: str, now: Timestamp, arguments: Arguments) -> Value:
    """A double, though Batch's page writes doubleVec: its examples compare it with a double."""
    if len(arguments) not in {1, 2}:
        raise TypeMismatchError("takes one or two times")
    start, end = _frame(arguments, now)
    return samples.percent(metric, now.seconds, start, end)


def _get_sample_period(samples: SampleStore, _metric: str, _now: Timestamp, arguments: Arguments) -> Value:
    _none(arguments)
    return Interval(round(samples.period * TICKS_PER_SECOND))


def _count_all(samples: SampleStore, metric: str, now: Timestamp, arguments: Arguments) -> Value:
    _none(arguments)
    return float(samples.count(metric, now.seconds))


def _history_begin(samples: SampleStore, metric: str, now: Timestamp, arguments: Arguments) -> Value:
    _none(arguments)
    begin = samples.begin(metric, now.seconds)
    if begin is None:
        raise NotEnoughSamplesError(f"Insufficient data from data set: {metric} has no sample")
    return Timestamp(round(begin * TICKS_PER_SECOND))


def _none(arguments: Arguments) -> None:
    if arguments:
        raise TypeMismatchError(f"takes no argument, found {len(arguments)}")


METHODS: Final[dict[str, SampleMethod]] = {
    "GetSample": _get_sample,
    "GetSamplePercent": _get_sample_percent,
    "GetSamplePeriod": _get_sample_period,
    "Count": _count_all,
    "HistoryBeginTime": _history_begin,
}
