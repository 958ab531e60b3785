"""An outcome: what became of one image of a manifest. One line of an outcome blob.

Workers append outcomes as the work goes on, to a blob of their own for each run of a task:
`outcomes/<manifest id>/<run>.jsonl`. A run that starts reads the blobs of earlier runs first and skips what is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.document import count_field, decode, encode, text_field
from shared.errors import DocumentError, MalformedDocumentError
from shared.manifest import Entry

KIND = "outcome"
SCHEMA = 1


class Result(StrEnum):
    """What can become of an image. Every one of them is final for this version."""

    CONVERTED = "converted"  # its PNG was written
    CURRENT = "current"  # its PNG was there already, made from this very version
    SUPERSEDED = "superseded"  # a newer version is in the container: its own arrival is on its way
    DELETED = "deleted"  # the image is gone
    REJECTED = "rejected"  # it cannot be converted; `reason` says why; goes to quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one version of one image."""

    name: str
    etag: str
    result: Result
    at: str
    """ISO 8601 UTC, the node's clock."""
    reason: str = ""
    """A stable code (see worker/reasons) where the result is rejected."""
    detail: str = ""
    """A sentence for people."""
    png: str = ""
    """The PNG's name, where there is one."""
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0
    milliseconds: int = 0
    """From the start of the fetch to the end of the store."""
    notes: tuple[str, ...] = ()
    """What was odd about a converted image (metadata dropped, bytes after the end, …), as stable codes."""

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.etag)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLines:
    """What could be read of an outcome blob."""

    outcomes: tuple[Outcome, ...]
    torn: int
    """Lines that are no outcome: a run was killed in mid-write. Their images count as not done."""


def to_line(outcome: Outcome) -> bytes:
    """The outcome as one line, newline included."""
    body: dict[str, Any] = {
        "name": outcome.name,
        "etag": outcome.etag,
        "result": outcome.result.value,
        "at": outcome.at,
    }
    optional = {
        "reason": outcome.reason,
        "detail": outcome.detail,
        "png": outcome.png,
        "bytes_in": outcome.bytes_in,
        "bytes_out": outcome.bytes_out,
        "pixels": outcome.pixels,
        "ms": outcome.milliseconds,
        "notes": list(outcome.notes),
    }
    body.update({key: value for key, value in optional.items() if value})
    return encode(KIND, SCHEMA, body) + b"\n"


def from_lines(data: bytes, *, where: str) -> OutcomeLines:
    """The outcomes of a blob. Torn lines are counted; a line of an unknown schema version raises DocumentError."""
    outcomes: list[Outcome] = []
    torn = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        try:
            outcomes.append(_from_line(line, where=f"{where}:{number}"))
        except MalformedDocumentError:
            torn += 1
    return OutcomeLines(outcomes=tuple(outcomes), torn=torn)


def undone(entries: Iterable[Entry], outcomes: Iterable[Outcome]) -> list[Entry]:
    """The entries that have no outcome yet, in their order."""
    done = {outcome.key for outcome in outcomes}
    return [entry for entry in entries if entry.key not in done]


def _from_line(line: bytes, *, where: str) -> Outcome:
    body = decode(line, KIND, SCHEMA, where=where)
    try:
        result = Result(text_field(body, "result", where=where))
    except ValueError as error:
        raise DocumentError(f"{where}: {error}") from error
    notes = body.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise DocumentError(f"{where}: field 'notes' must be a list of strings")
    optional = {
        "reason": "",
        "detail": "",
        "png": "",
        "bytes_in": 0,
        "bytes_out": 0,
        "pixels": 0,
        "ms": 0,
    } | body
    return Outcome(
        name=text_field(body, "name", where=where),
        etag=text_field(body, "etag", where=where),
        result=result,
        at=text_field(body, "at", where=where),
        reason=text_field(optional, "reason", where=where),
        detail=text_field(optional, "detail", where=where),
        png=text_field(optional, "png", where=where),
        bytes_in=count_field(optional, "bytes_in", where=where),
        bytes_out=count_field(optional, "bytes_out", where=where),
        pixels=count_field(optional, "pixels", where=where),
        milliseconds=count_field(optional, "ms", where=where),
        notes=tuple(notes),
    )
