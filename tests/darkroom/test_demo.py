"""The demo's parts: what it drops, how it accounts, how it proves pixels."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from PIL import Image

from darkroom.demo.ledger import Landed, Ledger, Place
from darkroom.demo.subjects import Subject, subjects
from darkroom.demo.verify import same_pixels
from shared.naming import Naming, png_name, source_label


def test_as_many_subjects_are_dropped_as_were_asked_for() -> None:
    for count in (1, 3, 4, 50):
        assert len({subject.name for subject in subjects(count)}) == count


def test_no_two_subjects_share_a_png() -> None:
    """Else one of them would rightly be quarantined, and the demo's sums would be wrong."""
    names = [png_name(subject.name, Naming.REPLACE) for subject in subjects(2000)]
    assert max(Counter(names).values()) == 1


def test_the_mix_is_awkward() -> None:
    planned = list(subjects(200))
    names = [subject.name for subject in planned]
    assert sum(subject.corrupt for subject in planned) == 1
    assert sum(subject.replaced for subject in planned) >= 10
    assert sum(bool(subject.photo) for subject in planned) == 2
    assert any(" " in name for name in names)
    assert any("/" in name for name in names)
    assert any(not name.isascii() for name in names)
    assert any("#" in name and "%" in name for name in names)


def test_versions_differ_and_are_the_same_each_time() -> None:
    subject = Subject(name="a.jpg", number=12, replaced=True)
    assert subject.data(1) == subject.data(1)
    assert subject.data(1) != subject.data(2)


def test_the_photographs_are_there_and_can_be_opened() -> None:
    for subject in subjects(2):
        with Image.open(io.BytesIO(subject.data(1))) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")


def _landed(name: str, etag: str) -> Landed:
    return Landed(name=png_name(name, Naming.REPLACE), source=source_label(name), etag=etag)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(naming=Naming.REPLACE)
    ledger.dropped(Subject(name="ü a.jpg", number=1), 1, '"0x1"')
    ledger.dropped(Subject(name="bad.jpg", number=4, corrupt=True), 1, '"0x2"')
    return ledger


def test_an_image_is_accounted_for_at_its_present_version_only(ledger: Ledger) -> None:
    ledger.observe([_landed("ü a.jpg", "0x1")], [])
    assert ledger.missing == ["bad.jpg"]
    ledger.dropped(Subject(name="ü a.jpg", number=1), 2, "0x9")
    ledger.observe([_landed("ü a.jpg", "0x1")], [])
    assert ledger.missing == ["ü a.jpg", "bad.jpg"]
    ledger.observe([_landed("ü a.jpg", "0x9")], [Landed(name="bad.jpg", source="", etag="0x2")])
    assert ledger.missing == []
    assert (ledger.count(Place.CONVERTED), ledger.count(Place.QUARANTINED)) == (1, 1)
    assert ledger.misplaced() == []


def test_a_png_of_another_source_does_not_count(ledger: Ledger) -> None:
    ledger.observe([Landed(name="ü a.png", source="other.jpg", etag="0x1")], [])
    assert "ü a.jpg" in ledger.missing


def test_an_image_in_the_wrong_place_is_told(ledger: Ledger) -> None:
    ledger.observe([_landed("bad.jpg", "0x2")], [Landed(name="ü a.jpg", source="", etag="0x1")])
    assert len(ledger.misplaced()) == 2


def _encode(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def test_equal_pixels_are_equal_and_one_wrong_pixel_is_seen() -> None:
    jpeg = Subject(name="a.jpg", number=7).data(1)
    with Image.open(io.BytesIO(jpeg)) as source:
        right = source.copy()
    assert same_pixels(jpeg, _encode(right, "PNG"))
    pixel = right.getpixel((3, 3))
    assert isinstance(pixel, tuple)
    right.putpixel((3, 3), (pixel[0] ^ 1, *pixel[1:]))
    assert not same_pixels(jpeg, _encode(right, "PNG"))


def test_a_jpeg_is_no_png() -> None:
    jpeg = Subject(name="a.jpg", number=7).data(1)
    assert not same_pixels(jpeg, jpeg)
