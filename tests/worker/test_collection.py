"""Every file of tests/data/jpeg ends as the policies of docs/conversion.md say."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageFile, ImageOps

from shared.worker_settings import ConversionSettings
from tests.worker import pngs
from tests.worker.jpegs import collect, listed, stored
from worker.conversion import convert
from worker.reasons import Note, Reason, RejectedError

N, R = Note, Reason
ORIENTED = [f"orient_Landscape_{n}.jpg" for n in (2, 3, 4, 8)] + [f"orient_Portrait_{n}.jpg" for n in (3, 5, 6, 8)]

NOTES: dict[str, tuple[Note, ...]] = {
    "00.31mp_Pillow_truncated_exif_dpi.jpg": (N.EXIF_DROPPED,),
    "08.29mp_libvips_ultra-hdr.jpg": (N.MORE_PICTURES,),
    "small_libvips_3.jpg": (N.ORIENTED,),
    "cmyk_pillow_adobe.jpg": (N.CMYK_PLAIN,),
    "icc_gray_to_k.icc_cmyk.jpg": (N.ICC_APPLIED,),
    "icc_ps_cmyk.icc_cmyk.jpg": (N.ICC_APPLIED,),
    "pil_empty_gps_ifd.jpg": (N.ORIENTED,),
    "pil_flower2.jpg": (N.ICC_AS_SRGB,),
    "pil_frame_size.mpo": (N.MORE_PICTURES,),
    "pil_invalid-exif.jpg": (N.EXIF_DROPPED,),
    "pil_orientation_rectangle.jpg": (N.ORIENTED,),
    "pil_pil_sample_cmyk.jpg": (N.CMYK_PLAIN,),
    "pil_rgb.jpg": (N.ICC_AS_SRGB,),
    "pil_truncated_app14.jpg": (N.ICC_AS_SRGB,),
    "trailing_second_jpeg.jpg": (N.MORE_PICTURES,),
    **dict.fromkeys(ORIENTED, (N.ORIENTED,)),
}

REASONS: dict[str, Reason] = {
    "Pillow_truncated_jpeg.jpg": R.TRUNCATED,
    "Pillow_ultrahdr.jpg": R.TRUNCATED,
    "avif_named.jpg": R.NOT_A_JPEG,
    "bomb_hdr_100x0.jpg": R.UNSUPPORTED,
    "bomb_hdr_13376x13376.jpg": R.TOO_MANY_PIXELS,
    "bomb_hdr_20000x20000.jpg": R.TOO_MANY_PIXELS,
    "bomb_hdr_9450x9450.jpg": R.TRUNCATED,
    "bomb_hdr_9460x9459.jpg": R.TRUNCATED,
    "bomb_prog_13376x13376.jpg": R.TOO_MANY_PIXELS,
    "eps_named.jpg": R.NOT_A_JPEG,
    "gif_named.jpg": R.NOT_A_JPEG,
    "leading_junk.jpg": R.NOT_A_JPEG,
    "libvips_truncated.jpg": R.TRUNCATED,
    "one_byte.jpg": R.TRUNCATED,
    "pdf_named.jpg": R.NOT_A_JPEG,
    "png_named.jpg": R.NOT_A_JPEG,
    "random.jpg": R.NOT_A_JPEG,
    "soi_eoi.jpg": R.DAMAGED,
    "soi_only.jpg": R.TRUNCATED,
    "trunc_24mp_01pct.jpg": R.TRUNCATED,
    "trunc_base_01pct.jpg": R.TRUNCATED,
    "trunc_base_minus1.jpg": R.TRUNCATED,
    "trunc_prog_01pct.jpg": R.TRUNCATED,
    "trunc_prog_10pct.jpg": R.TRUNCATED,
    "trunc_prog_50pct.jpg": R.TRUNCATED,
    "trunc_prog_75pct.jpg": R.TRUNCATED,
    "trunc_prog_minus1.jpg": R.TRUNCATED,
    "webp_named.jpg": R.NOT_A_JPEG,
    "zero.jpg": R.EMPTY,
    "zeros2k_20.jpg": R.DAMAGED,
    "zeros2k_50.jpg": R.DAMAGED,
    "zeros2k_80.jpg": R.DAMAGED,
    "twelve_bit.jpg": R.UNSUPPORTED,
    "x_monkey12.jpg": R.UNSUPPORTED,
}
# A few flipped bytes decode without complaint, in Pillow as in every viewer: docs/conversion.md says what is not seen.
UNSEEN_DAMAGE = {"flip32_20.jpg", "flip32_50.jpg"}


def test_the_tables_below_name_only_files_of_the_collection() -> None:
    """A renamed file cannot make an expectation vanish in silence."""
    names = {name for _, name in listed()}
    assert (set(NOTES) | set(REASONS) | UNSEEN_DAMAGE) <= names
    assert {name for kind, name in listed() if kind == "bad"} <= set(REASONS) | UNSEEN_DAMAGE


@pytest.mark.parametrize(("kind", "name"), [pair for pair in listed() if pair[1] not in REASONS])
def test_a_convertible_file_keeps_its_pixels(kind: str, name: str) -> None:
    """The PNG is strict, and its pixels are Pillow's decode turned upright; what was odd is noted, nothing else."""
    data, out = stored(kind, name), io.BytesIO()
    done = convert(data, ConversionSettings(), collect(out))
    assert done.notes == NOTES.get(name, ())
    pngs.chunks(out.getvalue())
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as source, Image.open(out) as png:
        assert isinstance(source, ImageFile.ImageFile)
        source.decodermaxblock = len(data) + 1  # else Pillow cannot read arithmetic coding over 64 KB
        upright = ImageOps.exif_transpose(source)
        assert png.size == upright.size == (done.width, done.height)
        assert png.mode == done.mode == ("L" if upright.mode == "L" else "RGB")
        if Note.ICC_APPLIED not in done.notes:
            assert png.tobytes() == upright.convert(png.mode).tobytes()


@pytest.mark.parametrize(("kind", "name"), [pair for pair in listed() if pair[1] in REASONS])
def test_a_bad_file_is_rejected_with_its_reason(kind: str, name: str) -> None:
    """The reason is the stable code, the detail a sentence; no byte of a PNG is called finished."""
    with pytest.raises(RejectedError) as rejected:
        convert(stored(kind, name), ConversionSettings(), lambda _: None)
    assert rejected.value.reason is REASONS[name]
    assert rejected.value.detail.endswith(".")
    assert "{" not in rejected.value.detail


@pytest.mark.parametrize(
    "name", [name for name, reason in REASONS.items() if reason is R.TRUNCATED and name.startswith(("trunc_", "Pill"))]
)
def test_what_can_be_read_of_a_truncated_file_is_converted_where_the_setting_says_so(name: str) -> None:
    """With WORKER_ACCEPT_TRUNCATED the picture comes out at full size, and the note says that it is incomplete."""
    settings, out = ConversionSettings(accept_truncated=True), io.BytesIO()
    done = convert(stored("bad", name), settings, collect(out))
    assert Note.INCOMPLETE in done.notes
    pngs.chunks(out.getvalue())
