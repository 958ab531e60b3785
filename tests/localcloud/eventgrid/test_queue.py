"""The durable queue: nothing accepted is lost, nothing done comes back."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from localcloud.azurite.writes import Position
from localcloud.errors import StartError
from localcloud.eventgrid.queue import EventQueue, Pending, Publication


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[EventQueue]:
    opened = EventQueue(tmp_path / "queue.db")
    opened.begin(["a", "b"])
    yield opened
    opened.close()


def _publish(queue: EventQueue, *subscriptions: str, count: int = 1, size: int = 0, now: float = 100) -> None:
    queue.publish(
        [
            Publication(make=lambda n: {"n": n, "filling": "x" * size}, subscriptions=list(subscriptions))
            for _ in range(count)
        ],
        now=now,
    )


def _take(queue: EventQueue, name: str = "a", *, now: float = 100, limit: int = 100, kb: int = 64) -> list[Pending]:
    return queue.take(name, now=now, limit=limit, limit_bytes=kb * 1024, lease=60)


def _ids(pending: Sequence[Pending]) -> list[int]:
    return [one.id for one in pending]


def test_each_subscription_has_its_own_delivery(queue: EventQueue) -> None:
    _publish(queue, "a", "b")
    queue.done("a", _ids(_take(queue, "a")))
    assert _ids(_take(queue, "b")) == [1]
    assert queue.depth() == 1


def test_what_nobody_wants_is_not_kept(queue: EventQueue) -> None:
    _publish(queue)
    assert queue.depth() == 0


def test_a_taken_delivery_is_not_taken_twice_until_its_lease_ends(queue: EventQueue) -> None:
    _publish(queue, "a")
    assert _ids(_take(queue)) == [1]
    assert _take(queue, now=159) == []
    assert _ids(_take(queue, now=160)) == [1]


def test_a_batch_is_bounded_by_count_and_bytes(queue: EventQueue) -> None:
    _publish(queue, "a", count=5, size=900)
    assert _ids(_take(queue, limit=2)) == [1, 2]
    assert _ids(_take(queue, kb=2)) == [3, 4]


def test_an_event_larger_than_a_batch_goes_alone(queue: EventQueue) -> None:
    _publish(queue, "a", count=2, size=5000)
    assert _ids(_take(queue, kb=1)) == [1]


def test_a_failed_delivery_comes_back_when_it_is_due(queue: EventQueue) -> None:
    _publish(queue, "a")
    _take(queue)
    queue.again("a", [(1, 1, 500.0)])
    assert queue.next_due("a") == 500.0
    assert _take(queue, now=499) == []
    assert [one.attempts for one in _take(queue, now=500)] == [1]


def test_what_waits_for_an_endpoint_is_hastened(queue: EventQueue) -> None:
    _publish(queue, "a")
    queue.again("a", [(1, 1, 5000.0)])
    queue.hasten(200)
    assert _ids(_take(queue, now=200)) == [1]


def test_an_empty_subscription_has_no_next_delivery(queue: EventQueue) -> None:
    assert queue.next_due("a") is None


def test_another_process_finds_what_was_left_and_it_is_due_at_once(tmp_path: Path) -> None:
    """The first is not even closed: it is as if it had been killed."""
    first = EventQueue(tmp_path / "queue.db")
    first.begin(["a"])
    _publish(first, "a", count=3)
    first.publish([], now=100, position=Position(segment="s", offset=7))
    taken = _take(first)
    first.done("a", [taken[0].id])
    first.again("a", [(taken[1].id, 4, 9999.0)])
    second = EventQueue(tmp_path / "queue.db")
    assert second.begin(["a"]) == 2
    assert {(one.id, one.attempts) for one in _take(second, now=0)} == {(2, 4), (3, 0)}
    assert second.position() == Position(segment="s", offset=7)
    second.close()
    first.close()


def test_sequencers_go_on_after_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2):
        queue = EventQueue(tmp_path / "queue.db")
        queue.begin(["a"])
        _publish(queue, "a")
        taken = _take(queue)
        assert [one.event["n"] for one in taken] == [expected]
        queue.done("a", _ids(taken))
        queue.close()


def test_an_event_that_cannot_be_made_leaves_position_and_queue_as_they_were(queue: EventQueue) -> None:
    """Event and position are one transaction."""

    def fail(sequencer: int) -> dict[str, object]:
        raise RuntimeError("no")

    good = Publication(make=lambda n: {"n": n}, subscriptions=["a"])
    with pytest.raises(RuntimeError):
        queue.publish(
            [good, Publication(make=fail, subscriptions=["a"])], now=1, position=Position(segment="s", offset=1)
        )
    assert queue.depth() == 0
    assert queue.position() == Position()


def test_deliveries_of_a_subscription_that_is_no_more_are_removed(tmp_path: Path) -> None:
    queue = EventQueue(tmp_path / "queue.db")
    queue.begin(["a", "b"])
    _publish(queue, "a", "b")
    assert queue.begin(["b"]) == 1
    queue.close()


def test_an_event_that_all_have_got_is_removed(tmp_path: Path, queue: EventQueue) -> None:
    _publish(queue, "a", "b", count=2)
    for name in ("a", "b"):
        queue.done(name, _ids(_take(queue, name)))
    with sqlite3.connect(tmp_path / "queue.db") as db:
        assert db.execute("SELECT count(*) FROM event").fetchone() == (0,)
    db.close()


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"this is no database, and long enough to be seen as none" * 100)
    with pytest.raises(StartError, match=r"queue\.db"):
        EventQueue(tmp_path / "queue.db")
