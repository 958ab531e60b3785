"""Which versions of an image go on: each once, none invented, none forgotten that may be the newest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.arrival import Arrival, newest_versions
from tests.properties.words import arrivals, few_etags, few_names

mixed = st.lists(arrivals(few_names, few_etags), max_size=10)


def with_sequencers(found: list[Arrival]) -> list[Arrival]:
    return [a for a in found if a.sequencer]


@given(mixed)
def test_every_version_stays_that_is_not_certainly_old(found: list[Arrival]) -> None:
    """A version goes only where another one of its name has a later sequencer: a wrong guess would lose an image."""
    kept = {(a.name, a.etag) for a in newest_versions(found)}
    assert {name for name, _ in kept} == {a.name for a in found}
    for gone in {(a.name, a.etag) for a in found} - kept:
        mine = [a for a in found if (a.name, a.etag) == gone]
        others = [a for a in found if a.name == gone[0] and a.etag != gone[1]]
        assert any(other.newer_than(one) for other in others for one in mine)


@given(mixed)
def test_each_version_stays_once(found: list[Arrival]) -> None:
    kept = [(a.name, a.etag) for a in newest_versions(found)]
    assert len(set(kept)) == len(kept)


@given(mixed)
def test_choosing_again_changes_nothing(found: list[Arrival]) -> None:
    kept = newest_versions(found)
    assert newest_versions(kept) == kept


@given(mixed)
def test_versions_keep_the_order_in_which_they_came(found: list[Arrival]) -> None:
    kept = [(a.name, a.etag) for a in newest_versions(found)]
    came = list(dict.fromkeys((a.name, a.etag) for a in found))
    assert kept == [key for key in came if key in kept]


@given(mixed.map(with_sequencers), st.randoms(use_true_random=False))
def test_with_sequencers_order_of_arrival_does_not_decide_the_version(found: list[Arrival], random: object) -> None:
    """Event Grid delivers in any order. (Equal sequencers with different ETags do not exist in the world.)"""
    versions: dict[tuple[str, str], str] = {}
    consistent = [a for a in found if versions.setdefault((a.name, a.sequencer), a.etag) == a.etag]
    one_sequencer: dict[tuple[str, str], str] = {}
    consistent = [a for a in consistent if one_sequencer.setdefault((a.name, a.etag), a.sequencer) == a.sequencer]
    shuffled = list(consistent)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    newest = {a.name: a.etag for a in newest_versions(consistent)}
    assert {a.name: a.etag for a in newest_versions(shuffled)} == newest
    for name, etag in newest.items():
        top = max((a for a in consistent if a.name == name), key=lambda a: a.sequencer)
        assert etag == top.etag


@given(mixed)
def test_no_failed_attempt_is_forgotten(found: list[Arrival]) -> None:
    """Of a version the arrival with most attempts is kept, or a bad image would be tried for ever."""
    for kept in newest_versions(found):
        assert kept.attempt == max(a.attempt for a in found if (a.name, a.etag) == (kept.name, kept.etag))
