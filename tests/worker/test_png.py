"""The PNG writer: any pixels, any profile, any filter, any deflater give back the same pixels."""

from __future__ import annotations

import io
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from shared.worker_settings import Profile
from tests.worker import pngs
from worker import compression, native, png
from worker.compression import Bits, Deflater, deflater
from worker.filters import Kind, filtered
from worker.pixels import Upright

DATA = Path(__file__).parents[1] / "data/jpeg"


def noise(size: tuple[int, int], mode: str, seed: int) -> Image.Image:
    """Pixels without order, so that every filter wraps around."""
    count = size[0] * size[1] * len(mode if mode == "RGB" else "L")
    return Image.frombytes(mode, size, random.Random(seed).randbytes(count))


LIBRARIES = (native.load(), None)
"""With the compiled part, and without."""


def written(picture: Image.Image, deflate: Deflater) -> bytes:
    pieces: list[bytes] = []
    strips = Upright(picture=picture, orientation=1, mode=picture.mode, colour=None)
    png.write(strips, [], deflate, pieces.append)
    return b"".join(pieces)


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)), mode=st.sampled_from(["RGB", "L"]), seed=st.integers(0, 9)
)
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_reader_finds_the_same_pixels(
    library: native.Library | None, profile: Profile, size: tuple[int, int], mode: str, seed: int
) -> None:
    """Each profile is lossless at any size, for colour and grey."""
    picture = noise(size, mode, seed)
    with Image.open(io.BytesIO(written(picture, deflater(profile, library)))) as read:
        assert read.tobytes() == picture.tobytes()


@pytest.mark.parametrize("kind", [Kind.NONE, Kind.SUB, Kind.UP])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pillows_arithmetic_and_the_library_filter_alike(kind: Kind, mode: str) -> None:
    """The two implementations of a filter agree in every byte."""
    library = native.load()
    assert library is not None
    band = noise((37, 29), mode, kind)
    assert filtered(band, kind) == library.filter(band, 1 << kind)


@pytest.mark.parametrize("kind", [Kind.AVERAGE, Kind.PAETH])
def test_pillows_arithmetic_has_only_the_simple_filters(kind: Kind) -> None:
    """It says so, instead of writing another filter's bytes under its number."""
    with pytest.raises(ValueError, match=kind.name):
        filtered(noise((3, 3), "L", 0), kind)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("profile", list(Profile))
def test_a_picture_of_many_strips_is_seamless(
    monkeypatch: pytest.MonkeyPatch, library: native.Library | None, profile: Profile
) -> None:
    """Filters look across the border of two strips, and strips that were coded in different ways follow each other."""
    monkeypatch.setattr(compression, "STRIP_PIXELS", 2000)
    picture = Image.new("RGB", (200, 300))
    for y in range(0, 300, 40):
        picture.paste(noise((200, 20), "RGB", y), (0, y))
        picture.paste(noise((8, 2), "RGB", 1).resize((200, 12), Image.Resampling.NEAREST), (0, y + 24))
    data = written(picture, deflater(profile, library))
    pngs.chunks(data)
    with Image.open(io.BytesIO(data)) as read:
        assert read.tobytes() == picture.tobytes()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("missing", ["_isal", "_libdeflate"])
def test_without_an_optional_package_the_pixels_are_the_same(
    monkeypatch: pytest.MonkeyPatch, missing: str, profile: Profile, library: native.Library | None
) -> None:
    """Where one has no wheel, zlib writes the same picture."""
    monkeypatch.setattr(compression, missing, None)
    picture = noise((64, 64), "RGB", 2)
    with Image.open(io.BytesIO(written(picture, deflater(profile, library)))) as read:
        assert read.tobytes() == picture.tobytes()


def page() -> Image.Image:
    """Lines of text, four strips of them."""
    picture = Image.new("L", (1024, 1024), 255)
    words = random.Random(1)
    for y in range(0, 1024, 10):
        text = " ".join(words.choice(("aperture", "shutter", "film", "grain", "exposure", "lens")) for _ in range(30))
        ImageDraw.Draw(picture).text((0, y), text, fill=0, font=ImageFont.load_default(12))
    return picture


def photograph() -> Image.Image:
    with Image.open(DATA / "good" / "synth800_00.jpg") as image:
        return image.convert("L").resize((1024, 1024))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("profile", list(Profile))
def test_flat_pages_are_left_unfiltered_and_gradients_are_not(profile: Profile, library: native.Library | None) -> None:
    """The choice per strip: text-like content deflates best as it is, smooth content as differences."""
    unfiltered = []
    for picture in (page(), Image.radial_gradient("L").resize((1024, 1024))):
        found = pngs.chunks(written(picture, deflater(profile, library)))
        rows = zlib.decompress(b"".join(chunk.body for chunk in found if chunk.kind == b"IDAT"))
        unfiltered.append(rows[::1025].count(0))
    assert unfiltered == [1024, 0]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("picture", "at_once"), [(page(), True), (photograph(), False), (noise((1024, 1024), "L", 1), False)]
)
def test_only_what_was_drawn_is_deflated_at_once(
    monkeypatch: pytest.MonkeyPatch, library: native.Library | None, picture: Image.Image, at_once: bool
) -> None:
    """It costs memory, and more time than filtered photographs and noise are worth."""
    whole: list[int] = []
    quickly = compression._quickly

    def watched(rows: bytearray) -> bytes:
        whole.append(len(rows))
        return quickly(rows)

    monkeypatch.setattr(compression, "_quickly", watched)
    data = written(picture, deflater(Profile.SPEED, library))
    assert whole == ([1025 * 1024] if at_once else [])
    monkeypatch.setattr(compression, "_REPEATED", 0)
    in_strips = written(picture, deflater(Profile.SPEED, library))
    assert len(data) < 0.8 * len(in_strips) if at_once else data == in_strips


def test_bits_between_strips_are_carried_over_or_closed_off() -> None:
    """A deflate stream stops at any bit; a coder that wants whole bytes gets them through an empty stored block."""
    for count in range(8):
        bits = Bits(waiting=0, count=count)
        stored = bits.align()
        assert bits.count == 0
        assert stored == (b"" if count == 0 else stored[: (count + 10) // 8] + b"\x00\x00\xff\xff")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(7, 5), (5, 7), (64, 33)])
def test_strips_are_turned_as_the_whole_picture_would_be(orientation: int, size: tuple[int, int]) -> None:
    """Any band of an upright picture equals that band of the picture turned whole, as Pillow turns it."""
    picture = noise(size, "RGB", 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    picture.save(out, "PNG", exif=exif)
    from PIL import ImageOps

    with Image.open(out) as tagged:
        whole = ImageOps.exif_transpose(tagged)
    strips = Upright(picture=picture, orientation=orientation, mode="RGB", colour=None)
    assert strips.size == whole.size
    for top in range(whole.height):
        for bottom in (top + 1, whole.height):
            assert strips.rows(top, bottom).tobytes() == whole.crop((0, top, whole.width, bottom)).tobytes()
    first = strips.rows(-1, 2)
    assert first.crop((0, 0, whole.width, 1)).getextrema() == ((0, 0),) * 3
    assert first.crop((0, 1, whole.width, 3)).tobytes() == whole.crop((0, 0, whole.width, 2)).tobytes()
