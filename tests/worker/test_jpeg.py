"""The structure of JPEGs, odd ones included."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from shared.worker_settings import ConversionSettings
from tests.worker.jpegs import collect, jpeg, lossless, picture, stored, with_segment
from worker.conversion import convert
from worker.jpeg import least_bytes, read_frame, without_metadata
from worker.reasons import Note, Reason, RejectedError
from worker.sniffing import describe


def rejected(data: bytes, settings: ConversionSettings | None = None) -> Reason:
    with pytest.raises(RejectedError) as error:
        convert(data, settings or ConversionSettings(), lambda _: None)
    return error.value.reason


def test_the_frame_is_read_from_the_headers_alone() -> None:
    """Everything up to the first scan is enough."""
    data = jpeg((97, 61))
    frame = read_frame(data[: data.index(b"\xff\xda") + 2])
    assert (frame.width, frame.height, frame.components, frame.progressive) == (97, 61, 3, False)


@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0), ("CMYK", 0)], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 9), (640, 480)], ids=str)
@pytest.mark.parametrize("progressive", [False, True], ids=["sequential", "progressive"])
def test_the_emptiest_file_is_not_below_the_least_bytes(
    mode: str, subsampling: int, size: tuple[int, int], progressive: bool
) -> None:
    """The early answer to header bombs never hits a real file, not even one colour at the lowest quality."""
    out = io.BytesIO()
    Image.new(mode, size).save(out, "JPEG", quality=1, subsampling=subsampling, optimize=True, progressive=progressive)
    data = out.getvalue()
    assert least_bytes(read_frame(data)) <= len(data)
    convert(data, ConversionSettings(), lambda _: None)


def test_flat_pictures_with_long_runs_of_zeros_are_no_holes() -> None:
    """With optimised tables an empty block can be zero bits: a black page is a picture."""
    for mode in ("L", "RGB"):
        out = io.BytesIO()
        Image.new(mode, (4000, 3000)).save(out, "JPEG", optimize=True)
        convert(out.getvalue(), ConversionSettings(), lambda _: None)


def test_a_hole_of_zeros_amid_the_pixels_is_damage() -> None:
    """A half-copied sparse file decodes to a plausible, wrong picture: it is refused."""
    data = bytearray(jpeg((640, 480)))
    middle = len(data) // 2
    data[middle : middle + 2048] = bytes(2048)
    assert rejected(bytes(data)) is Reason.DAMAGED


def test_a_marker_that_cannot_stand_amid_pixels_is_damage() -> None:
    """Decoders skip it and go on with the wrong pixels."""
    data = bytearray(jpeg((640, 480)))
    middle = len(data) // 2
    data[middle : middle + 4] = b"\xff\x02\x00\x02"
    assert rejected(bytes(data)) is Reason.DAMAGED


def test_every_cut_of_a_file_is_rejected() -> None:
    """Wherever a file ends before its end, it is told; the decoder never pads it in silence."""
    data = jpeg()
    for end in range(3, len(data) - 1, 97):
        assert rejected(data[:end]) in (Reason.TRUNCATED, Reason.DAMAGED)


def test_bytes_after_the_end_are_ignored_and_noted() -> None:
    """Cameras and editors append things; zeros are padding and not even noted."""
    for tail, notes in ((b"tail", (Note.BYTES_AFTER_END,)), (bytes(4096), ()), (jpeg(), (Note.MORE_PICTURES,))):
        assert convert(jpeg() + tail, ConversionSettings(), lambda _: None).notes == notes


def test_thousands_of_scans_are_rejected_before_decoding() -> None:
    """A small progressive file can keep a decoder busy for hours."""
    data = jpeg(progressive=True)
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    assert rejected(data[:-2] + scan * 200 + b"\xff\xd9") is Reason.TOO_MANY_SCANS


def test_pillow_never_sees_metadata_that_it_cannot_read() -> None:
    """What is left without metadata still says which colours the components are."""
    for kind, name in (("odd", "pil_rgb.jpg"), ("odd", "cmyk_pillow_adobe.jpg"), ("odd", "pil_flower2.jpg")):
        data = stored(kind, name)
        with Image.open(io.BytesIO(data)) as whole, Image.open(io.BytesIO(without_metadata(data))) as bare:
            assert whole.tobytes() == bare.tobytes()
            assert "exif" not in bare.info


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (ConversionSettings(max_pixels=1000), Reason.TOO_MANY_PIXELS),
        (ConversionSettings(max_bytes=100), Reason.TOO_MANY_BYTES),
    ],
)
def test_limits_are_settings(limit: ConversionSettings, reason: Reason) -> None:
    """A larger picture or file than the operator allows is rejected."""
    assert rejected(jpeg(), limit) is reason


def test_two_components_are_unsupported() -> None:
    """No JPEG of two components has a meaning that viewers agree on."""
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 9] = 2
    assert rejected(bytes(data)) is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP"),
        (b"\0\0\0\x1cftypheic", "a HEIC"),
        (b"\0\0\0\x1cftypavif", "an AVIF"),
        (b"  <!DOCTYPE html><html>", "an HTML page"),
        (b'{"error": "not found"}', "text"),
        (bytes(100), "all zeros"),
        (b"\r\n\r\n\xff\xd8\xff\xe0", "starts only at byte 4"),
        (b"\x01\x02\x03", "01 02 03"),
    ],
)
def test_what_is_no_jpeg_is_called_by_its_name(head: bytes, words: str) -> None:
    """The sentence says what the file is, for whoever has to mend it."""
    assert words in describe(head)


def test_a_segment_may_be_broken_where_the_pixels_are_good() -> None:
    """Unknown and empty segments are passed over."""
    data = with_segment(with_segment(jpeg(), 0xEC, b""), 0xE2, b"ICC_PROFILE\0")
    with Image.open(io.BytesIO(jpeg())) as expected:
        assert convert(data, ConversionSettings(), lambda _: None).width == expected.width == picture().width


@pytest.mark.parametrize("size", [(1, 1), (61, 40)])
def test_a_lossless_jpeg_is_converted_to_the_very_pixels_it_was_made_of(size: tuple[int, int]) -> None:
    """The decoder can, so it is done; and as nothing was lost in the JPEG, the truth is known beforehand."""
    original = picture(size, "L")
    data = lossless(original)
    assert read_frame(data).lossless
    out = io.BytesIO()
    done = convert(data, ConversionSettings(), collect(out))
    assert (done.mode, done.notes) == ("L", ())
    with Image.open(out) as png:
        assert png.tobytes() == original.tobytes()


def test_a_lossless_jpeg_that_is_cut_off_is_truncated() -> None:
    """It has no end marker, whatever its coding."""
    data = lossless(picture((61, 40), "L"))
    assert rejected(data[: len(data) // 2]) is Reason.TRUNCATED
