"""Which version of an image wins: one a name, none invented, none forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.arrival import Arrival, newest_versions
from tests.properties.words import arrivals, few_etags, few_names

mixed = st.lists(arrivals(few_names, few_etags), max_size=10)


def with_sequencers(found: list[Arrival]) -> list[Arrival]:
    return [a for a in found if a.sequencer]


@given(mixed)
def test_each_name_ends_in_exactly_one_version_that_arrived(found: list[Arrival]) -> None:
    kept = newest_versions(found)
    assert {a.name for a in kept} == {a.name for a in found}
    assert len({a.name for a in kept}) == len(kept)
    assert all(a in found for a in kept)


@given(mixed)
def test_choosing_again_changes_nothing(found: list[Arrival]) -> None:
    kept = newest_versions(found)
    assert newest_versions(kept) == kept


@given(mixed)
def test_names_keep_the_order_in_which_they_came(found: list[Arrival]) -> None:
    assert [a.name for a in newest_versions(found)] == list(dict.fromkeys(a.name for a in found))


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
    """Of the version that wins, the arrival with most attempts is kept, or a bad image would be tried for ever."""
    for kept in newest_versions(found):
        later = found[found.index(kept) :]
        assert kept.attempt >= max(a.attempt for a in later if (a.name, a.etag) == (kept.name, kept.etag))


@given(arrivals(few_names, few_etags), arrivals(few_names, few_etags))
def test_newer_is_never_mutual(one: Arrival, other: Arrival) -> None:
    assert not (one.newer_than(other) and other.newer_than(one))
    assert not one.newer_than(one)
