"""The PNG writer: any pixels, any profile, any filter, any deflater give back the same pixels."""

from __future__ import annotations

import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.worker_settings import Profile
from tests.worker import pngs
from worker import png
from worker.pixels import Upright


def noise(size: tuple[int, int], mode: str, seed: int) -> Image.Image:
    """Pixels without order, so that every filter wraps around."""
    count = size[0] * size[1] * len(mode if mode == "RGB" else "L")
    return Image.frombytes(mode, size, random.Random(seed).randbytes(count))


def written(picture: Image.Image, how: png.Tuning) -> bytes:
    pieces: list[bytes] = []
    strips = Upright(picture=picture, orientation=1, mode=picture.mode, colour=None)
    png.write(strips, [], how, pieces.append)
    return b"".join(pieces)


def only(kind: int) -> png.Tuning:
    """A tuning that always filters the same way."""
    return png.Tuning(compressor=zlib.compressobj, sample=zlib.compress, candidates=(kind,))


@given(width=st.integers(1, 70), height=st.integers(1, 70), mode=st.sampled_from(["RGB", "L"]), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("profile", list(Profile))
def test_a_reader_finds_the_same_pixels(profile: Profile, width: int, height: int, mode: str, seed: int) -> None:
    """Each profile is lossless at any size, for colour and grey."""
    picture = noise((width, height), mode, seed)
    with Image.open(io.BytesIO(written(picture, png.tuning(profile)))) as read:
        assert read.tobytes() == picture.tobytes()


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_filter_is_undone_by_a_reader(kind: int, mode: str) -> None:
    """None, Sub, Up and Average are PNG's own, first row and first column included."""
    picture = noise((37, 29), mode, kind)
    data = written(picture, only(kind))
    pngs.chunks(data)
    with Image.open(io.BytesIO(data)) as read:
        assert read.tobytes() == picture.tobytes()


def test_a_picture_of_many_strips_is_seamless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filters look across the border of two strips."""
    monkeypatch.setattr(png, "STRIP_PIXELS", 64)
    picture = noise((23, 41), "RGB", 1)
    for kind in (0, 1, 2, 3):
        with Image.open(io.BytesIO(written(picture, only(kind)))) as read:
            assert read.tobytes() == picture.tobytes()


def test_without_isal_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ISA-L has no wheel, zlib writes the same picture."""
    monkeypatch.setattr(png, "_isal", None)
    picture = noise((64, 64), "RGB", 2)
    with Image.open(io.BytesIO(written(picture, png.tuning(Profile.SPEED)))) as read:
        assert read.tobytes() == picture.tobytes()


def test_flat_pages_are_left_unfiltered_and_gradients_are_not() -> None:
    """The choice per strip: text-like content deflates best as it is, smooth content as differences."""
    page = Image.new("L", (512, 512), 255)
    for y in range(0, 512, 16):
        page.paste(noise((512, 5), "L", 0), (0, y))
    smooth = Image.radial_gradient("L").resize((512, 512))
    kinds = []
    for picture in (page, smooth):
        found = pngs.chunks(written(picture, png.tuning(Profile.SPEED)))
        rows = zlib.decompress(b"".join(chunk.body for chunk in found if chunk.kind == b"IDAT"))
        kinds.append(rows[0])
    assert kinds[0] == 0
    assert kinds[1] != 0


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
