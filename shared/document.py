"""Stored documents: JSON with a kind and a schema version, read strictly.

Every document that Darkroom stores says what it is and which version of its schema it follows, as
`{"kind": "manifest", "schema": 1, …}`. A reader refuses what it does not know: guessing loses images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.errors import DocumentError, MalformedDocumentError


def encode(kind: str, schema: int, body: Mapping[str, Any]) -> bytes:
    """The document as UTF-8 JSON on one line, without a newline."""
    return json.dumps(
        {"kind": kind, "schema": schema, **body}, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode("utf-8", "surrogatepass")


def decode(data: bytes | str, kind: str, schema: int, *, where: str) -> dict[str, Any]:
    """The body of a document. `where` names the blob (and line) for the error.

    Raises MalformedDocumentError when the data is no JSON, DocumentError when it is of another kind or schema version.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
        value = json.loads(text)
    except ValueError as error:
        raise MalformedDocumentError(f"{where}: not a JSON document ({error})") from error
    if not isinstance(value, dict) or value.get("kind") != kind:
        found = value.get("kind") if isinstance(value, dict) else type(value).__name__
        raise DocumentError(f"{where}: expected a document of kind {kind!r}, found {found!r}")
    if value.get("schema") != schema:
        raise DocumentError(
            f"{where}: {kind} has schema version {value.get('schema')!r}; this release reads version {schema}. "
            "It was written by another release: deploy that one, or a newer one."
        )
    return value


def text_field(body: Mapping[str, Any], key: str, *, where: str) -> str:
    """A field that must be a string."""
    value = body.get(key)
    if not isinstance(value, str):
        raise DocumentError(f"{where}: field {key!r} must be a string, found {type(value).__name__}")
    return value


def count_field(body: Mapping[str, Any], key: str, *, where: str) -> int:
    """A field that must be a whole number of at least zero."""
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DocumentError(f"{where}: field {key!r} must be a whole number of at least 0, found {value!r}")
    return value
