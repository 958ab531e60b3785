"""What a file is that is not a JPEG, said to people: by its first bytes, never by its name."""

from __future__ import annotations

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL"),
    (b"\0\0\x01\0", "an icon"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "a PostScript or EPS file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"{\\rtf", "an RTF document"),
)
_BRANDS = ((b"avif", "an AVIF"), (b"avis", "an AVIF"), (b"hei", "a HEIC"), (b"hev", "a HEIC"), (b"mif1", "a HEIF"))
_SOI = b"\xff\xd8\xff"


def describe(data: bytes) -> str:
    """A noun phrase for `data`, which does not start as a JPEG does."""
    head = data[:64]
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return f"it is {what}"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "it is a WebP"
    if head[4:8] == b"ftyp":
        return (
            f"it is {next((what for brand, what in _BRANDS if head[8:12].startswith(brand)), 'a video or HEIF file')}"
        )
    if not data.strip(b"\0"):
        return "it is all zeros"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page"
    if start.startswith((b"<?xml", b"<svg")):
        return "it is an XML or SVG document"
    found = data.find(_SOI, 0, 65536)
    if found > 0:
        return f"a JPEG starts only at byte {found}, after something else"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "it is text"
    return "its first bytes are " + data[:8].hex(" ")
