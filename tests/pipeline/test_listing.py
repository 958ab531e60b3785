"""The sweep's join of three listings, held against a plain comparison of whole sets."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.listing import Document, Image, Join, Judged, OrphanedPng, OutdatedDocument, Png, State, sort_key
from shared.naming import Naming, is_jpeg_name, png_name, source_label

# Names that are near each other in every way that matters: suffixes, dots, dashes, slashes, beyond the 16-bit plane.
STEMS = st.lists(
    st.sampled_from(["a", "b", ".", "-", "/", "k", "é", "\uffee", "\U0001f600"]), min_size=1, max_size=4
).map("".join)
SUFFIXES = st.sampled_from([".jpg", ".jpeg", ".JPG", ".jpe", ".jfif", ".k.jpg", ".png", ""])
NAMES = st.tuples(STEMS, SUFFIXES).map("".join)
ETAGS = st.sampled_from(["1", "2"])


def image(name: str, etag: str) -> Image:
    return Image(name=name, etag=etag, size=1, modified="2026-01-01T00:00:00+00:00")


def joined(naming: Naming, items: Iterable[Image | Png | Document]) -> tuple[dict[str, State], set[str], set[str]]:
    join = Join(naming=naming)
    findings = [finding for item in sorted(items, key=sort_key) for finding in join.take(item)]
    findings += join.end()
    states = {f.image.name: f.state for f in findings if isinstance(f, Judged)}
    assert len(states) == sum(isinstance(f, Judged) for f in findings), "an image was judged twice"
    orphans = {f.png.name for f in findings if isinstance(f, OrphanedPng)}
    return states, orphans, {f.document.name for f in findings if isinstance(f, OutdatedDocument)}


def expected(
    naming: Naming, images: dict[str, str], pngs: dict[str, tuple[str, str]], documents: dict[str, str]
) -> object:
    """The same, from whole dictionaries: what the join must say without holding them."""
    states: dict[str, State] = {}
    outdated = {name for name in documents if name not in images}
    labels: dict[str, set[str]] = {}
    for name in filter(is_jpeg_name, images):
        labels.setdefault(png_name(name, naming), set()).add(source_label(name))
    for name, etag in images.items():
        if not is_jpeg_name(name):
            states[name] = State.IGNORED
            continue
        png = png_name(name, naming)
        source, version = pngs.get(png, ("", ""))
        if source == source_label(name) and version == etag:
            states[name] = State.CURRENT
        elif documents.get(name) == etag:
            states[name] = State.QUARANTINED
        elif source == source_label(name):
            states[name] = State.STALE
        else:
            states[name] = State.CONFLICT if source in labels.get(png, set()) else State.MISSING
        if name in documents and (states[name] is State.CURRENT or documents[name] != etag):
            outdated.add(name)
    waited_for = {png_name(n, naming) for n in filter(is_jpeg_name, images) if states[n] is not State.QUARANTINED}
    return states, pngs.keys() - waited_for, outdated


@given(
    naming=st.sampled_from(Naming),
    images=st.dictionaries(NAMES, ETAGS, max_size=8),
    made=st.lists(st.tuples(NAMES.filter(is_jpeg_name), ETAGS), max_size=8),
    documents=st.dictionaries(NAMES.filter(is_jpeg_name), ETAGS, max_size=4),
)
@example(
    naming=Naming.REPLACE,
    images={"a.jpg": "1", "a.k.jpg": "1", "a-b.jpg": "1", "a.jpeg": "1"},
    made=[("a.jpg", "1"), ("a.k.jpg", "2"), ("a-b.jpg", "1")],
    documents={"a.jpeg": "1"},
)
@example(naming=Naming.REPLACE, images={"a.jpg": "2"}, made=[("a.jpg", "1")], documents={"a.jpg": "2"})
@example(naming=Naming.REPLACE, images={"a.jpeg": "1"}, made=[("a.jpg", "1")], documents={"a.jpeg": "1"})
def test_the_join_says_what_a_comparison_of_whole_sets_says(
    naming: Naming, images: dict[str, str], made: list[tuple[str, str]], documents: dict[str, str]
) -> None:
    """Whatever the names: every image is judged once and right, every orphan and outdated document is found."""
    pngs = {png_name(name, naming): (source_label(name), etag) for name, etag in made}
    items: list[Image | Png | Document] = [image(name, etag) for name, etag in images.items()]
    items += [Png(name=n, etag="p", source=label, source_etag=v) for n, (label, v) in pngs.items()]
    items += [Document(name=name, etag="d", source_etag=etag) for name, etag in documents.items()]
    states, orphans, outdated = joined(naming, items)
    assert (states, orphans, outdated) == expected(naming, images, pngs, documents)


def test_an_image_is_held_no_longer_than_its_pngs_place() -> None:
    """Of a long listing without any PNG, the join holds at most a handful of images at a time."""
    join = Join(naming=Naming.REPLACE)
    most = 0
    for number in range(5000):
        list(join.take(image(f"photos/{number:05d}.jpg", "1")))
        most = max(most, len(join.held))
    assert most <= 2
