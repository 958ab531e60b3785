"""Samples: their period, their lag, and the methods that read them."""

from datetime import timedelta

import pytest

from localcloud.batch.autoscale import SampleStore
from tests.localcloud.autoscale.state import NOW, fault, run, store, value


def test_samples_of_the_last_minute_are_not_published_yet() -> None:
    samples = store(PendingTasks=1)
    assert value("len($PendingTasks.GetSample(TimeInterval_Second * 59, 0))", samples) == "0"
    assert value("len($PendingTasks.GetSample(TimeInterval_Second * 60, 0))", samples) == "1"
    assert value("$PendingTasks.GetSamplePercent(TimeInterval_Minute * 10)", samples) == "95"


def test_the_three_minute_frame_of_microsofts_examples_has_more_than_its_seventy_percent() -> None:
    percent = value("$PendingTasks.GetSamplePercent(180 * TimeInterval_Second)", store(PendingTasks=1))
    assert float(percent) == pytest.approx(100 * 5 / 6)


def test_a_percentage_above_what_is_there_fails_as_on_azure() -> None:
    evaluation = run("a = 1;\nb = $CPUPercent.GetSample(TimeInterval_Minute * 10, 99);", store(CPUPercent=1))
    assert evaluation.error is not None
    assert evaluation.error.code == "InsufficientSampleData"
    assert evaluation.error.message == "Autoscale evaluation failed due to insufficient sample data"
    assert evaluation.error.detail == (
        "Line 2, Col 26: Insufficient data from data set: $CPUPercent wanted 99%, received 95%"
    )


def test_a_time_frame_without_a_percentage_wants_seventy() -> None:
    detail = fault("x = avg($PendingTasks.GetSample(TimeInterval_Minute * 10))", store(5, PendingTasks=1))
    assert detail == "Line 1, Col 32: Insufficient data from data set: $PendingTasks wanted 70%, received 45%"


def test_a_percentage_of_zero_takes_what_there_is() -> None:
    assert value("len($PendingTasks.GetSample(TimeInterval_Hour, 0))") == "0"


def test_counted_samples_come_oldest_first_and_only_as_many_as_there_are() -> None:
    samples = SampleStore()
    for index in range(4):
        samples.record(NOW - timedelta(seconds=30 * (5 - index)), {"$ActiveTasks": index})
    assert value("$ActiveTasks.GetSample(2)", samples) == "[2,3]"
    assert value("$ActiveTasks.GetSample(9)", samples) == "[0,1,2,3]"
    assert value("max(0, $RunningTasks.GetSample(1))", samples) == "0"


@pytest.mark.parametrize(
    "frame",
    [
        "TimeInterval_Minute, 6 * TimeInterval_Minute",
        "6 * TimeInterval_Minute, TimeInterval_Minute",
        'time("2026-11-21T11:54:00Z"), time("2026-11-21T11:59:00Z")',
        'time("2026-11-21T11:54:00Z"), TimeInterval_Minute',
    ],
)
def test_a_frame_has_two_ends_in_either_order_as_times_or_intervals(frame: str) -> None:
    samples = store(PendingTasks=2)
    assert value(f"len($PendingTasks.GetSample({frame}))", samples) == "10"
    assert value(f"len($PendingTasks.GetSample({frame}, 100))", samples) == "10"
    assert value(f"$PendingTasks.GetSamplePercent({frame})", samples) == "100"


def test_a_frame_can_begin_at_a_timestamp() -> None:
    samples = store(PendingTasks=2)
    assert value('len($PendingTasks.GetSample(time("2026-11-21T11:50:00Z")))', samples) == "19"


def test_history_methods_tell_period_count_and_begin() -> None:
    samples = store(10, PendingTasks=2)
    assert value("$PendingTasks.GetSamplePeriod()", samples) == "00:00:30"
    assert value("$PendingTasks.Count()", samples) == "19"
    assert value("$PendingTasks.HistoryBeginTime()", samples) == "2026-11-21T11:50:00.000Z"
    assert "has no sample" in fault("x = $ActiveTasks.HistoryBeginTime()", samples)


def test_a_metric_as_a_number_is_the_current_value_or_else_the_latest_sample() -> None:
    assert value("$CurrentDedicatedNodes * 1.5") == "3"
    assert value("$CurrentDedicated") == "2"
    assert value("$TaskSlotsPerNode") == "4"
    assert value("min(10, $PendingTasks)", store(PendingTasks=6)) == "6"
    assert "InsufficientSampleData" in str(run("x = $PendingTasks").error)


@pytest.mark.parametrize(
    "arguments", ["", "0", '"1"', "1, 2", "TimeInterval_Hour, time(), 1, 2", "vec(1)", "TimeInterval_Hour, vec(1)"]
)
def test_get_sample_refuses_other_arguments(arguments: str) -> None:
    assert fault(f"x = $PendingTasks.GetSample({arguments})", store(PendingTasks=1)).startswith("Line 1, Col 28")


def test_a_missed_sample_lowers_the_percentage() -> None:
    samples = SampleStore()
    for index in range(20, 0, -1):
        samples.record(NOW - timedelta(seconds=30 * index), {"$ActiveTasks": 1} if index % 2 else {})
    assert value("$ActiveTasks.GetSamplePercent(TimeInterval_Minute, 11 * TimeInterval_Minute)", samples) == "45"


def test_old_samples_are_dropped() -> None:
    samples = SampleStore(keep=600)
    for index in range(1000):
        samples.record(30.0 * index, {"$ActiveTasks": index})
    assert 20 <= samples.count("$ActiveTasks", 30_100.0) <= 41


def test_a_store_made_from_the_rows_of_another_is_equal() -> None:
    first = store(5, PendingTasks=2, ActiveTasks=1)
    second = SampleStore()
    for at, row in first.rows():
        second.record(at, row)
    assert second.rows() == first.rows() != []


def test_samples_that_go_back_in_time_are_refused() -> None:
    samples = store(PendingTasks=1)
    with pytest.raises(ValueError, match="order of time"):
        samples.record(NOW - timedelta(minutes=1), {"$PendingTasks": 1})
