"""Why an image is not converted, and what was odd about one that was: stable codes, each with its human sentence.

Codes are part of outcomes, quarantine documents and metrics: they are never renamed.
`docs/conversion.md` explains each.
"""

from __future__ import annotations

from enum import StrEnum

from shared.errors import PermanentError


class Reason(StrEnum):
    """Why an image is rejected. A retry gives the same answer."""

    EMPTY = "empty"
    NOT_A_JPEG = "not-a-jpeg"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_BYTES = "too-many-bytes"
    TOO_MANY_SCANS = "too-many-scans"
    TOO_SLOW = "too-slow"
    TOO_MUCH_MEMORY = "too-much-memory"
    DECODER_DIED = "decoder-died"
    NAME_CONFLICT = "name-conflict"
    NAME_TOO_LONG = "name-too-long"
    ARCHIVED = "archived"


SENTENCES = {
    Reason.EMPTY: "The file has no bytes.",
    Reason.NOT_A_JPEG: "The file is not a JPEG: {found}.",
    Reason.TRUNCATED: "The file is cut off: {found}.",
    Reason.DAMAGED: "The file is damaged: {found}.",
    Reason.UNSUPPORTED: "This kind of JPEG cannot be decoded: {found}.",
    Reason.TOO_MANY_PIXELS: "The picture is {width} x {height} = {pixels} pixels; at most {limit} are converted.",
    Reason.TOO_MANY_BYTES: "The file has {found} bytes; at most {limit} are read.",
    Reason.TOO_MANY_SCANS: "The file has {found} scans; at most {limit} are decoded.",
    Reason.TOO_SLOW: "The conversion took longer than {limit:g} seconds and was stopped.",
    Reason.TOO_MUCH_MEMORY: "The conversion needed more than {limit} bytes of memory and was stopped.",
    Reason.DECODER_DIED: "The decoder's process died twice on this file: {found}.",
    Reason.NAME_CONFLICT: "The name {png} is taken by the PNG of another image: {other}.",
    Reason.NAME_TOO_LONG: "The PNG's name would have {found} characters; a blob's name has at most {limit}.",
    Reason.ARCHIVED: "The blob is in the archive tier and cannot be read until it is rehydrated.",
}


class Note(StrEnum):
    """What was odd about an image that was converted all the same."""

    ICC_DROPPED = "icc-dropped"  # the profile is broken, or does not describe these pixels
    ICC_APPLIED = "icc-applied"  # CMYK became sRGB through the file's own profile
    CMYK_PLAIN = "cmyk-plain"  # CMYK became RGB by arithmetic: there was no usable profile
    EXIF_DROPPED = "exif-dropped"  # the EXIF block cannot be read as TIFF
    XMP_DROPPED = "xmp-dropped"  # the XMP packet is no UTF-8 text
    XMP_EXTENDED_DROPPED = "xmp-extended-dropped"  # PNG holds one packet; the parts beyond 64 KB have no place
    DENSITY_DROPPED = "density-dropped"  # zero, absurd or unreadable
    ICC_AS_SRGB = "icc-as-srgb"  # a well-known sRGB profile, said with the sRGB chunk
    ORIENTED = "oriented"  # the EXIF orientation was applied
    MORE_PICTURES = "more-pictures"  # MPO, gain map: the first picture was converted
    BYTES_AFTER_END = "bytes-after-end"  # ignored
    INCOMPLETE = "incomplete"  # truncated or damaged, accepted by WORKER_ACCEPT_TRUNCATED


class RejectedError(PermanentError):
    """The image cannot be converted. Carries the reason's code and the sentence for people."""

    def __init__(self, reason: Reason, **facts: object) -> None:
        self.reason = reason
        self.detail = SENTENCES[reason].format(**facts)
        super().__init__(self.detail)

    @classmethod
    def told(cls, reason: Reason, detail: str) -> RejectedError:
        """A rejection that another process worded."""
        error = cls.__new__(cls)
        error.reason, error.detail = reason, detail
        error.args = (detail,)
        return error
