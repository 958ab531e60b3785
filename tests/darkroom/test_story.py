"""Where an image is: the sentence that follows from what storage and Batch say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from darkroom.why.story import Held, Known, Png, Source, Verdict, tell
from shared.arrival import Arrival
from shared.manifest import Entry
from shared.naming import source_label
from shared.outcome import Outcome, Result
from shared.quarantine import Quarantined

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAME = "été/a b.jpg"
OLD = timedelta(hours=1)


def known(*, name: str = NAME, etag: str | None = "v2", age: timedelta = OLD, **rest: Any) -> Known:
    source = None if etag is None else Source(etag=etag, size=10, modified=NOW - age)
    fields = {"pngs": (), "quarantined": None, "inbox": (), "held": (), "past": ()} | rest
    return Known(name=name, source=source, now=NOW, **fields)


def png(*, etag: str = "v2", of: str = NAME) -> Png:
    return Png(name="été/a b.png", label=source_label(of), source_etag=etag, manifest="m1", modified=NOW, size=5)


def held(*, job: str = "darkroom-20261121", state: str = "active", outcomes: tuple[Outcome, ...] = ()) -> Held:
    return Held(
        manifest="m1",
        created="2026-11-21T11:00:00Z",
        entry=Entry(name=NAME, etag="v2", size=10),
        job=job,
        task_state=state,
        node="node-1" if state == "running" else "",
        retries=0,
        requeued=0,
        failure="FailureExitCode: exit 1" if state == "completed" else "",
        outcomes=outcomes,
    )


def quarantined(etag: str) -> Quarantined:
    return Quarantined(
        name=NAME, etag=etag, size=10, reason="truncated", detail="It ends early.", when="t", attempts=1, manifest="m0"
    )


ARRIVAL = Arrival(id="1", name=NAME, etag="v2", size=10, time="2026-11-21T11:59:00Z")
DONE = Outcome(name=NAME, etag="v2", result=Result.CONVERTED, at="2026-11-21T11:59:30Z")


@pytest.mark.parametrize(
    ("case", "verdict", "says"),
    [
        (known(pngs=(png(),)), Verdict.DONE, "this very version"),
        (known(quarantined=quarantined("v2")), Verdict.QUARANTINED, "truncated"),
        (known(inbox=(ARRIVAL,)), Verdict.WAITING, "inbox"),
        (known(held=(held(job=""),)), Verdict.WAITING, "no task yet"),
        (known(held=(held(),)), Verdict.WAITING, "waits for a slot"),
        (known(held=(held(state="running"),)), Verdict.WORKING, "node-1"),
        (known(held=(held(state="completed"),)), Verdict.WAITING, "ended without doing it"),
        (known(held=(held(state=""),)), Verdict.WAITING, "not in job"),
        (known(held=(held(state="running", outcomes=(DONE,)),)), Verdict.WORKING, "collect has not closed"),
        (known(age=timedelta(seconds=5)), Verdict.WAITING, "on the way"),
        (known(), Verdict.UNKNOWN, "Nothing knows of it"),
        (known(pngs=(png(etag="v1"),)), Verdict.UNKNOWN, "older version"),
        (known(pngs=(png(of="été/a b.jpeg"),)), Verdict.WAITING, "name conflict"),
        (known(name="notes.txt"), Verdict.NOT_AN_IMAGE, "not a JPG"),
        (known(etag=None), Verdict.GONE, "no such image"),
        (known(etag=None, pngs=(png(),)), Verdict.GONE, "orphan"),
    ],
)
def test_each_place_an_image_can_be_has_its_sentence(case: Known, verdict: Verdict, says: str) -> None:
    story = tell(case)
    assert story.verdict is verdict
    assert says in story.sentence


def test_a_quarantine_document_of_an_older_version_does_not_hold_the_image() -> None:
    story = tell(known(quarantined=quarantined("v1"), inbox=(ARRIVAL,)))
    assert story.verdict is Verdict.WAITING
    assert [step.place for step in story.steps if step.place == "quarantine"] == ["quarantine"]


@pytest.mark.parametrize("later", ["00.000", "00.999", "01.000"])
def test_the_steps_are_in_the_order_of_time_and_within_a_second_of_the_way(later: str) -> None:
    """Storage's clock knows seconds, the worker's knows more: what it says of a PNG comes after the PNG."""
    said = replace(DONE, at=f"2026-11-21T12:00:{later}Z")
    story = tell(known(inbox=(ARRIVAL,), past=(("m0", said),), pngs=(png(),)))
    assert [step.place for step in story.steps] == ["image", "inbox", "PNG", "past"]
