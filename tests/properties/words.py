"""Strategies: hostile names, ETags, arrivals, entries, outcomes, as the world may send them."""

from __future__ import annotations

from hypothesis import strategies as st

from shared.arrival import Arrival
from shared.manifest import Entry
from shared.naming import JPEG_SUFFIXES, MAX_BLOB_NAME
from shared.outcome import Outcome, Result

HOSTILE = [
    "%",
    "%41",
    " ",
    "'",
    '"',
    "\\",
    "..",
    ".",
    "/",
    "//",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "\u2028",
    "\x85",
    "?",
]
"""Parts of names that have broken parsers, shells and URLs."""

_characters = st.characters(codec="utf-8", exclude_characters="\x00")
stems = st.one_of(
    st.text(_characters, min_size=1, max_size=40),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=8).map("".join),
    st.sampled_from(HOSTILE).map(lambda part: (part * 600)[:1000]),
)
suffixes = st.sampled_from(JPEG_SUFFIXES).flatmap(
    lambda suffix: st.lists(st.booleans(), min_size=len(suffix), max_size=len(suffix)).map(
        lambda upper: "".join(c.upper() if up else c for c, up in zip(suffix, upper, strict=True))
    )
)
jpeg_names = st.builds(lambda stem, suffix: stem + suffix, stems, suffixes).filter(
    lambda name: len(name) <= MAX_BLOB_NAME and name.lower().endswith(JPEG_SUFFIXES)
)
etags = st.text("0123456789ABCDEFx", min_size=1, max_size=18)
times = st.datetimes().map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20))
sequencers = st.one_of(st.just(""), st.text("0123456789ABCDEF", min_size=16, max_size=16))

few_names = st.sampled_from(["a.jpg", "b/a.jpg", "\U0001f600.JPEG"])
few_etags = st.sampled_from(["0x1", "0x2", "0x3"])
attempts = st.integers(0, 3)
sizes = st.integers(0, 10**12)


def arrivals(
    names: st.SearchStrategy[str] = jpeg_names, versions: st.SearchStrategy[str] = etags
) -> st.SearchStrategy[Arrival]:
    """Arrivals by any way, of any version."""
    return st.builds(
        Arrival,
        id=st.uuids().map(str),
        name=names,
        etag=versions,
        size=sizes,
        time=times,
        sequencer=sequencers,
        attempt=attempts,
        via=st.sampled_from(["event", "sweep", "retry", "replay", "run"]),
    )


entries = st.builds(Entry, name=jpeg_names, etag=etags, size=sizes, attempt=attempts)

outcomes = st.builds(
    Outcome,
    name=jpeg_names,
    etag=etags,
    result=st.sampled_from(Result),
    at=times,
    reason=st.text(_characters, max_size=20),
    detail=st.text(_characters, max_size=80),
    png=st.text(_characters, max_size=40),
    bytes_in=sizes,
    bytes_out=sizes,
    pixels=sizes,
    milliseconds=sizes,
    notes=st.lists(st.text(_characters, min_size=1, max_size=10), max_size=3).map(tuple),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
