"""Every interleaving of two collectors that close one manifest, with crashes and lost answers: nothing is forgotten."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.closing import Closing, End
from pipeline.inbox import PREFIX, Inbox
from pipeline.quarantine import Quarantine
from pipeline.sealing import SEALED
from pipeline.storage import listed
from pipeline.summary import ARCHIVE, from_bytes
from shared import manifest as manifests
from shared import outcome as outcomes
from shared.arrival import Arrival, from_lines
from shared.errors import RetryableError
from shared.manifest import Entry, Manifest
from shared.naming import Naming
from shared.outcome import Outcome, Result
from tests.fakes.storage import FakeContainer
from tests.model.darkroom import NOW, Actor, unavailable
from tests.model.explorer import Report, ViolationError, explore
from tests.model.schedule import Budget, Scenario, Stage

pytestmark = pytest.mark.timeout(600)  # a search is long where the machine is busy

ENTRIES = tuple(Entry(name=name, etag="0x1", size=1) for name in ("good.jpg", "bad.jpg", "undone.jpg"))
MANIFEST = Manifest(id="20260101t000000-m-0000", created="2026-01-01", naming=Naming.REPLACE, entries=ENTRIES)
BLOB = f"{SEALED}{MANIFEST.id}.json"
DONE = [
    Outcome(name="good.jpg", etag="0x1", result=Result.CONVERTED, at="2026", png="good.png"),
    Outcome(name="bad.jpg", etag="0x1", result=Result.REJECTED, at="2026", reason="not-a-jpeg"),
]


@dataclass
class Office:
    """A sealed manifest whose task failed after two of its three images."""

    stage: Stage
    kind: type[Closing] = Closing

    def __post_init__(self) -> None:
        names = ("manifests", "outcomes", "quarantine", "images")
        made = [FakeContainer(name, gate=self.stage.act, clock=lambda: NOW) for name in names]
        self.manifests, self.outcomes, self.quarantine, self.images = made
        for entry in ENTRIES:
            self.images.put(entry.name, b"jpeg", {})
        self.manifests.put(BLOB, manifests.to_bytes(MANIFEST), {"images": "3", "job": "j"})
        self.outcomes.put(f"{MANIFEST.id}/1.jsonl", b"".join(map(outcomes.to_line, DONE)), {}, appendable=True)

    def snapshot(self) -> Hashable:
        return tuple(container.snapshot() for container in (self.manifests, self.outcomes, self.quarantine))

    def collector(self, name: str) -> Actor:
        """Closes the manifest if it is open; a run that storage fails ends, as the timer's would."""

        async def run() -> None:
            closing = self.kind(
                manifests=self.manifests,
                outcomes=self.outcomes,
                quarantine=Quarantine(container=self.quarantine, images=self.images),
                inbox=Inbox(container=self.manifests, process=name),
                max_attempts=3,
                now=f"2026 by {name}",
            )
            try:
                for blob in await listed(self.manifests, SEALED, metadata=True):
                    await closing.close(blob, End(how="failed"))
            except RetryableError:
                return

        return run

    def every_entry_is_somewhere(self) -> None:
        """While the manifest is open it holds all; once it is not, each entry has its fate, durably."""
        if BLOB not in self.manifests.blobs:
            assert self.manifests.names(ARCHIVE), "closed without a summary"
            assert self.quarantine.names() == ["bad.jpg"], "a rejected image is in no quarantine"
            back = {(a.name, a.attempt) for a in self._waiting()}
            assert back == {("undone.jpg", 1)}, f"what was not done did not come back: {back}"

    def all_is_closed(self) -> None:
        """The manifest is gone, archived once, and the retry has one id however often it was written."""
        assert BLOB not in self.manifests.blobs, "the manifest is still open"
        self.every_entry_is_somewhere()
        (name,) = self.manifests.names(ARCHIVE)
        counts = from_bytes(self.manifests.blobs[name].data, where=name).counts
        assert {what: count for what, count in counts.items() if count} == {
            "converted": 1,
            "rejected": 1,
            "quarantined": 1,
            "retried": 1,
        }
        assert len({arrival.id for arrival in self._waiting()}) == 1

    def _waiting(self) -> list[Arrival]:
        names = self.manifests.names(PREFIX)
        return [arrival for name in names for arrival in from_lines(self.manifests.blobs[name].data, where=name)]


def two_collectors(stage: Stage, kind: type[Closing] = Closing) -> Scenario:
    office = Office(stage, kind=kind)
    return Scenario(
        world=office,
        actors={"collector 1": office.collector("c1"), "collector 2": office.collector("c2")},
        always=office.every_entry_is_somewhere,
        settle=office.collector("late"),
        finally_=office.all_is_closed,
    )


def run(budget: Budget, kind: type[Closing] = Closing) -> Report:
    return explore(
        lambda stage: two_collectors(stage, kind),
        budget=budget,
        most_states=40_000,
        lost_error=unavailable,
        refused_error=unavailable,
    )


def test_two_collectors_at_once_in_every_order() -> None:
    report = run(Budget())
    assert report.schedules > 10_000


def test_two_collectors_of_which_one_or_both_die() -> None:
    report = run(Budget(crashes=2, switches=2))
    assert report.schedules > 10_000
    assert report.crashes > 100


def test_two_collectors_with_a_lost_and_a_refused_answer() -> None:
    report = run(Budget(losses=1, refusals=1, switches=1))
    assert report.schedules > 1_000


class Careless(Closing):
    """Goes on when the retries could not be written."""

    async def _retry(self, *what: Any) -> None:
        with suppress(RetryableError):
            await super()._retry(*what)


def test_the_same_search_finds_a_collector_that_goes_on_without_its_retries() -> None:
    with pytest.raises(ViolationError, match="did not come back"):
        run(Budget(refusals=1, switches=0), Careless)
