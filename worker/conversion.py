"""One JPEG to one PNG: decoded by Pillow, checked, turned upright, and written in strips. No input or output here."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

from PIL import Image, ImageFile, JpegImagePlugin

from shared.worker_settings import ConversionSettings, Metadata
from worker import colour, compression, metadata, native, png
from worker.jpeg import Structure, read_frame, read_structure, without_metadata
from worker.limits import check_limits
from worker.pixels import Upright
from worker.reasons import Note, Reason, RejectedError

_ZEROS = b"\0" * 512  # a hole of a sparse or half-copied file; see _hole
_HEADER_ERRORS = (SyntaxError, OSError, ValueError, LookupError, TypeError, OverflowError, struct.error)
Image.MAX_IMAGE_PIXELS = None  # the limit is WORKER_MAX_PIXELS, checked on the header before Pillow sees the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What is told of a picture that was converted."""

    width: int
    height: int
    mode: str
    """The PNG's: RGB or L."""
    notes: tuple[Note, ...]


def convert(data: bytes, settings: ConversionSettings, sink: png.Sink) -> Converted:
    """Converts a JPEG and hands the PNG to `sink` piece by piece.

    Raises RejectedError when it cannot be converted; what went to `sink` until then is to be thrown away.
    """
    check_limits(read_frame(data), len(data), settings)
    structure = read_structure(data)
    notes = list(_check_structure(data, structure, settings))
    picture = _decode(data, structure, notes, settings)
    exif = metadata.read_exif(structure.exif) if structure.exif else None
    orientation = exif.orientation if exif else 1
    if orientation != 1:
        notes.append(Note.ORIENTED)
    treatment = colour.treat(picture.mode, structure.icc, broken=structure.icc_broken)
    notes += treatment.notes
    strips = Upright(picture=picture, orientation=orientation, mode=treatment.mode, colour=treatment.colour)
    chunks = treatment.chunks + _chunks(structure, exif, strips.swapped, notes, settings)
    png.write(strips, chunks, compression.deflater(settings.profile, native.load()), sink)
    width, height = strips.size
    return Converted(width=width, height=height, mode=treatment.mode, notes=tuple(dict.fromkeys(notes)))


def _check_structure(data: bytes, structure: Structure, settings: ConversionSettings) -> list[Note]:
    """Raises RejectedError for what the decoder would pass over in silence, or spend hours on."""
    if structure.scans > settings.max_scans:
        raise RejectedError(Reason.TOO_MANY_SCANS, found=structure.scans, limit=settings.max_scans)
    fault = _fault(data, structure)
    if fault is None:
        more = data.find(b"\xff\xd8\xff", structure.end) >= 0
        after = Note.MORE_PICTURES if more else Note.BYTES_AFTER_END
        return [after] if data[structure.end :].strip(b"\0") else []
    if not settings.accept_truncated:
        raise fault
    return [Note.INCOMPLETE]


def _fault(data: bytes, structure: Structure) -> RejectedError | None:
    if not structure.complete:
        return RejectedError(Reason.TRUNCATED, found="it has no end marker")
    if structure.stray_marker:
        return RejectedError(Reason.DAMAGED, found=f"marker FF{structure.stray_marker:02X} stands amid the pixels")
    hole = _hole(data, structure)
    if hole:
        return RejectedError(Reason.DAMAGED, found=f"{len(_ZEROS)} zero bytes or more at byte {hole}, amid the pixels")
    return None


def _hole(data: bytes, structure: Structure) -> int:
    """Where a long run of zero bytes stands amid Huffman-coded pixels, or 0.

    With the tables of nearly every encoder zeros are small coefficients, not emptiness, so such a run is no picture but
    a hole: a sparse file, a copy that stopped and went on. Where zeros may mean emptiness, it is not judged.
    """
    frame = structure.frame
    if frame.progressive or frame.arithmetic or frame.lossless or not structure.zeros_are_pixels:
        return 0
    return max(0, data.find(_ZEROS, structure.pixels_at, structure.end))


def _decode(data: bytes, structure: Structure, notes: list[Note], settings: ConversionSettings) -> Image.Image:
    """The picture in Pillow's own decode: RGB, L or CMYK (Adobe's inversion undone)."""
    try:
        picture = _open(data)
    except _HEADER_ERRORS:
        data = without_metadata(data)  # one broken segment is no reason to refuse good pixels
        try:
            picture = _open(data)
        except _HEADER_ERRORS as error:
            raise RejectedError(Reason.DAMAGED, found=f"its headers cannot be read ({error})") from error
    if picture.mode not in ("RGB", "L", "CMYK"):
        raise RejectedError(Reason.UNSUPPORTED, found=f"Pillow decodes it as {picture.mode}")
    if structure.frame.arithmetic:
        picture.decodermaxblock = len(data) + 1  # the decoder cannot suspend: it must have the whole file at once
    try:
        picture.load()
    except OSError as error:
        return _incomplete(data, picture, error, notes, settings)
    return picture


def _open(data: bytes) -> JpegImagePlugin.JpegImageFile:
    """Pillow's picture, headers read and pixels not yet. Never an MPO: the first picture is what is asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which worker/metadata.py reads itself
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))


def _incomplete(
    data: bytes, picture: Image.Image, error: OSError, notes: list[Note], settings: ConversionSettings
) -> Image.Image:
    if not settings.accept_truncated:
        reason = Reason.TRUNCATED if "truncated" in str(error) else Reason.DAMAGED
        raise RejectedError(reason, found=f"the decoder says: {error}") from error
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        again = _open(data)
        again.load()
    except _HEADER_ERRORS as second:
        raise RejectedError(Reason.DAMAGED, found=f"the decoder says: {second}") from second
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    notes.append(Note.INCOMPLETE)
    return again


def _chunks(
    structure: Structure, exif: metadata.Exif | None, swapped: bool, notes: list[Note], settings: ConversionSettings
) -> list[bytes]:
    """pHYs, eXIf and iTXt, as the settings want them."""
    chunks, odd = metadata.density_chunk(structure.density, exif, swapped=swapped)
    notes += odd
    if settings.metadata is Metadata.STRIP:
        return chunks
    if exif is not None:
        chunks.append(metadata.exif_chunk(exif))
    elif structure.exif:
        notes.append(Note.EXIF_DROPPED)
    if structure.xmp:
        packet = metadata.xmp_chunk(structure.xmp)
        if packet is None:
            notes.append(Note.XMP_DROPPED)
        else:
            chunks.append(packet)
    if structure.xmp_extended:
        notes.append(Note.XMP_EXTENDED_DROPPED)
    return chunks
