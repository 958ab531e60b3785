"""Stored documents: what was written is what is read, and what is not ours is refused, never guessed at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import arrival, manifest, outcome, quarantine
from shared.arrival import Arrival
from shared.errors import DocumentError
from shared.manifest import Entry, Manifest
from shared.naming import Naming
from shared.outcome import Outcome
from shared.quarantine import Quarantined
from tests.properties.words import arrivals, entries, etags, jpeg_names, json_values, outcomes, sizes, times


@given(st.lists(arrivals(), max_size=8, unique_by=lambda a: a.id))
def test_an_inbox_reads_back_as_it_was_written(written: list[Arrival]) -> None:
    data = b"".join(arrival.to_line(a) for a in written)
    assert list(arrival.from_lines(data, where="inbox")) == written


@given(st.lists(arrivals(), min_size=1, max_size=8), st.data())
def test_repeated_lines_bring_nothing_new(written: list[Arrival], data: st.DataObject) -> None:
    """An append that failed may have taken effect: its lines may come again, anywhere later."""
    again = data.draw(st.lists(st.sampled_from(written), max_size=8))
    once = b"".join(arrival.to_line(a) for a in written)
    repeated = once + b"".join(arrival.to_line(a) for a in again)
    assert list(arrival.from_lines(repeated, where="i")) == list(arrival.from_lines(once, where="i"))


@given(st.lists(entries, max_size=6), times, st.sampled_from(Naming))
def test_a_manifest_reads_back_and_has_one_form(images: list[Entry], created: str, naming: Naming) -> None:
    written = Manifest(id="20260101t000000-abc-0", created=created, naming=naming, entries=tuple(images))
    data = manifest.to_bytes(written)
    assert manifest.from_bytes(data, where="m") == written
    assert manifest.to_bytes(manifest.from_bytes(data, where="m")) == data


quarantined = st.builds(
    Quarantined,
    name=jpeg_names,
    etag=etags,
    size=sizes,
    reason=etags,
    detail=st.text(),
    when=times,
    attempts=sizes,
    manifest=etags,
)


@given(quarantined)
def test_a_quarantine_document_reads_back(written: Quarantined) -> None:
    assert quarantine.from_bytes(quarantine.to_bytes(written), where="q") == written


@given(st.lists(outcomes, max_size=6))
def test_outcomes_read_back(written: list[Outcome]) -> None:
    read = outcome.from_lines(b"".join(outcome.to_line(o) for o in written), where="o")
    assert (list(read.outcomes), read.torn) == (written, 0)


@given(st.lists(outcomes, min_size=1, max_size=5), st.data())
def test_a_run_killed_in_mid_write_costs_its_last_line_only(written: list[Outcome], data: st.DataObject) -> None:
    """Cut anywhere: every whole line counts, the torn one is counted as torn, and nothing is invented."""
    lines = [outcome.to_line(o) for o in written]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    read = outcome.from_lines(whole[:cut], where="o")
    complete = [o for n, o in enumerate(written) if len(b"".join(lines[: n + 1])) - 1 <= cut]
    assert list(read.outcomes) == complete
    torn = whole[:cut].rsplit(b"\n", 1)[-1]
    assert read.torn == (1 if torn and len(b"".join(lines[: len(complete)])) < cut else 0)


@given(st.lists(entries, max_size=6, unique_by=lambda e: e.key), st.data())
def test_done_and_undone_make_up_the_manifest(images: list[Entry], data: st.DataObject) -> None:
    done = data.draw(st.lists(st.sampled_from(images), unique=True)) if images else []
    made = [Outcome(name=e.name, etag=e.etag, result=outcome.Result.CONVERTED, at="2026") for e in done]
    left = outcome.undone(images, made)
    assert left == [entry for entry in images if entry not in done]


@given(json_values)
def test_foreign_json_is_refused_with_a_document_error(value: Any) -> None:
    data = json.dumps(value).encode()
    for read in (manifest.from_bytes, quarantine.from_bytes):
        with pytest.raises(DocumentError, match="somewhere"):
            read(data, where="somewhere")
    if b"\n" not in data:
        with pytest.raises(DocumentError, match="somewhere:1"):
            list(arrival.from_lines(data, where="somewhere"))


@given(st.binary(min_size=1, max_size=60), entries)
def test_bytes_that_are_no_document_never_raise_anything_else(noise: bytes, entry: Entry) -> None:
    """Cut, prefixed or pure noise: a DocumentError or a document, nothing third."""
    good = manifest.to_bytes(Manifest(id="m", created="c", naming=Naming.REPLACE, entries=(entry,)))
    for data in (noise, noise + good, good[: len(noise)], good.replace(b'"', noise, 1)):
        try:
            manifest.from_bytes(data, where="m")
        except DocumentError:
            continue


@given(arrivals(), st.integers(2, 99))
def test_a_line_of_another_schema_stops_the_reader(one: Arrival, schema: int) -> None:
    line = arrival.to_line(one).replace(b'"schema":1', f'"schema":{schema}'.encode(), 1)
    with pytest.raises(DocumentError, match="schema version"):
        list(arrival.from_lines(line, where="i"))
