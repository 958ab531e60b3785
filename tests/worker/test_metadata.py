"""What goes along beside the pixels, and what happens when it is broken."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from shared.worker_settings import ConversionSettings, Metadata
from tests.worker import pngs
from tests.worker.jpegs import collect, exif, jpeg, stored, with_segment
from worker import colour, metadata
from worker.conversion import Converted, convert
from worker.jpeg import Density, read_structure
from worker.reasons import Note

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
)


def made(data: bytes, settings_: ConversionSettings | None = None) -> tuple[Converted, dict[bytes, bytes]]:
    """What is told of the conversion, and the PNG's chunks by kind (pixels left out)."""
    out = io.BytesIO()
    done = convert(data, settings_ or ConversionSettings(), collect(out))
    return done, {chunk.kind: chunk.body for chunk in pngs.chunks(out.getvalue()) if chunk.kind != b"IDAT"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_applied_orientation_is_reset_in_exif(order: str) -> None:
    """Viewers that honour eXIf must not turn the picture again, and its width and height are the new ones."""
    done, chunks = made(jpeg(exif=exif(6, order=order)))
    assert (done.width, done.height) == (61, 97)
    assert Note.ORIENTED in done.notes
    block = metadata.read_exif(chunks[b"eXIf"])
    assert block is not None
    assert block.orientation == 1
    assert (block.number(0xA002), block.number(0xA003)) == (61, 97)


def test_an_applied_orientation_is_reset_in_xmp() -> None:
    """Both spellings of the property, in place."""
    _, chunks = made(jpeg(exif=exif(6), xmp=XMP))
    keyword, _, text = chunks[b"iTXt"].partition(b"\0\0\0\0\0")
    assert keyword == b"XML:com.adobe.xmp"
    assert text == XMP.replace(b'"6"', b'"1"').replace(b">6<", b">1<")


def test_exif_that_needs_no_change_goes_along_byte_for_byte() -> None:
    """Maker notes hold offsets: nothing may move."""
    data = stored("odd", "orient_Landscape_1.jpg")
    assert made(data)[1][b"eXIf"] == read_structure(data).exif


def test_stripping_takes_exif_and_xmp_but_still_turns_the_picture() -> None:
    """WORKER_METADATA=strip is for privacy; what the picture looks like stays: orientation, profile, density."""
    done, chunks = made(
        jpeg(exif=exif(6), xmp=XMP, icc=srgb(), dpi=(300, 300)), ConversionSettings(metadata=Metadata.STRIP)
    )
    assert (done.width, done.height) == (61, 97)
    assert set(chunks) == {b"IHDR", b"iCCP", b"pHYs", b"IEND"}


@pytest.mark.parametrize(
    ("density", "swapped", "expected"),
    [
        (Density(unit=1, x=300, y=300), False, (11811, 11811, 1)),
        (Density(unit=2, x=100, y=50), False, (10000, 5000, 1)),
        (Density(unit=2, x=100, y=50), True, (5000, 10000, 1)),
        (Density(unit=0, x=4, y=3), False, (4, 3, 0)),
        (Density(unit=0, x=1, y=1), False, None),
        (Density(unit=1, x=0, y=0), False, None),
        (None, False, None),
    ],
)
def test_density_becomes_pixels_per_metre(density: Density | None, swapped: bool, expected: object) -> None:
    """JFIF's inch and centimetre, and its aspect ratios; 1:1 says nothing and is left out."""
    chunks, notes = metadata.density_chunk(density, None, swapped=swapped)
    assert notes == ()
    assert [struct.unpack(">IIB", chunk[8:17]) for chunk in chunks] == ([expected] if expected else [])


def test_a_picture_with_broken_exif_is_converted_and_noted() -> None:
    """Broken metadata around good pixels costs the metadata, not the picture."""
    done, chunks = made(with_segment(jpeg(), 0xE1, b"Exif\0\0II*\0garbage that is no directory"))
    assert done.notes == (Note.EXIF_DROPPED,)
    assert b"eXIf" not in chunks


def test_xmp_that_is_no_text_is_dropped_and_noted() -> None:
    """iTXt holds UTF-8."""
    done, chunks = made(with_segment(jpeg(), 0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe\xff"))
    assert done.notes == (Note.XMP_DROPPED,)
    assert b"iTXt" not in chunks


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_make_the_exif_reader_raise(data: bytes) -> None:
    """It answers a block or None, whatever it is given."""
    for order in (b"II*\0", b"MM\0*", b""):
        block = metadata.read_exif(order + data)
        if block is not None:
            assert len(block.upright().data) == len(order + data)
            metadata.density_chunk(None, block, swapped=False)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_profile_that_describes_the_pixels_goes_along_unchanged() -> None:
    """iCCP holds the same bytes."""
    out = io.BytesIO()
    convert(jpeg(icc=srgb()), ConversionSettings(), collect(out))
    with Image.open(out) as png:
        assert png.info["icc_profile"] == srgb()


@pytest.mark.parametrize(
    "profile",
    [srgb()[:-1], srgb()[:100], b"not a profile at all", srgb()[:16] + b"CMYK" + srgb()[20:], b"\0" * 200],
    ids=["a byte short", "a header short", "text", "of another colour space", "zeros"],
)
def test_a_profile_that_does_not_is_dropped_and_noted(profile: bytes) -> None:
    """A wrong profile would change every colour, and libpng warns of it."""
    done, chunks = made(jpeg(icc=profile))
    assert done.notes == (Note.ICC_DROPPED,)
    assert b"iCCP" not in chunks


def test_a_profile_in_pieces_is_joined_and_a_missing_piece_is_noticed() -> None:
    """Profiles over 64 KB come in several segments, in any order."""
    profile = srgb()
    half = len(profile) // 2
    first, second = b"ICC_PROFILE\0\1\2" + profile[:half], b"ICC_PROFILE\0\2\2" + profile[half:]
    assert read_structure(with_segment(with_segment(jpeg(), 0xE2, first), 0xE2, second)).icc == profile
    done, _ = made(with_segment(jpeg(), 0xE2, first))
    assert done.notes == (Note.ICC_DROPPED,)


def test_hewlett_packards_srgb_is_said_with_the_srgb_chunk() -> None:
    """libpng warns of the profile that most sRGB files carry; the chunk says the same."""
    _, chunks = made(stored("odd", "pil_flower2.jpg"))
    assert chunks[b"sRGB"] == b"\0"
    assert b"iCCP" not in chunks


def test_white_cmyk_paper_is_white_and_never_inverted() -> None:
    """Adobe stores CMYK inverted; by arithmetic and through a profile paper ends light and ink dark."""
    for name in ("icc_ps_cmyk.icc_cmyk.jpg", "cmyk_pillow_adobe.jpg"):
        out = io.BytesIO()
        convert(stored("odd", name), ConversionSettings(), collect(out))
        with (
            Image.open(out) as png,
            Image.open(io.BytesIO(stored("odd", "sub_444.jpg"))) as original,
        ):
            theirs = list(original.convert("L").resize((8, 8)).tobytes())
            ours = list(png.convert("L").resize((8, 8)).tobytes())
        agree = sum(abs(a - b) < 90 for a, b in zip(ours, theirs, strict=True))
        assert agree > 48, f"{name}: {ours} against {theirs}"


def test_a_cmyk_picture_with_a_broken_profile_is_converted_plainly() -> None:
    """And says so."""
    treatment = colour.treat("CMYK", b"\0" * 16 + b"CMYK" + b"\0" * 200, broken=False)
    assert treatment.notes == (Note.CMYK_PLAIN, Note.ICC_DROPPED)
    assert treatment.mode == "RGB"
