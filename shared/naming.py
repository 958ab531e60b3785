"""Names: which blobs are JPGs, what their PNGs are called, how a source is named in a PNG's metadata."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from urllib.parse import quote

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
MAX_BLOB_NAME = 1024
"""Characters (UTF-16 code units) that a blob's name may have.
https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"""

_MAX_LABEL = 4096  # characters; all metadata of a blob together may have 8 KB


class Naming(StrEnum):
    """How a PNG gets its name from its source's."""

    REPLACE = "replace"  # a.jpg -> a.png; a.jpg and a.jpeg compete for one name
    APPEND = "append"  # a.jpg -> a.jpg.png; no two sources share a name


def is_jpeg_name(name: str) -> bool:
    """Whether a blob's name says that it is a JPG: `.jpg .jpeg .jpe .jfif`, in any case."""
    return name.lower().endswith(JPEG_SUFFIXES)


def png_name(name: str, naming: Naming) -> str:
    """The name of the PNG of the JPG `name`. The result may exceed MAX_BLOB_NAME under APPEND: the caller checks.

    A source always sorts before its PNG, in either naming: the sweep leans on it.
    """
    if naming is Naming.APPEND:
        return name + ".png"
    return name[: name.rindex(".")] + ".png"


def source_label(name: str) -> str:
    """A blob's name as PNG metadata carries it: percent-encoded, since header values are ASCII.

    Very long names (which would not fit) are carried as `sha256:` and their digest. Compare labels, never decode.
    """
    label = quote(name, safe="/", errors="surrogatepass")
    if len(label) <= _MAX_LABEL:
        return label
    return "sha256:" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def listing_key(name: str) -> bytes:
    """Sorts names as Blob Storage lists them: by UTF-16 code units, not by code points."""
    return name.encode("utf-16-be", "surrogatepass")


def normal_etag(etag: str) -> str:
    """An ETag without quotes and weak marks: events carry it bare, headers quoted."""
    return etag.removeprefix("W/").strip('"')


def quoted_etag(etag: str) -> str:
    """An ETag as If-Match wants it."""
    return f'"{normal_etag(etag)}"'
