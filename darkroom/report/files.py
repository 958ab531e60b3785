"""The rows of a report as CSV or JSON, written as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from shared.outcome import Outcome

COLUMNS = (
    "name",
    "etag",
    "result",
    "reason",
    "detail",
    "png",
    "bytes_in",
    "bytes_out",
    "pixels",
    "milliseconds",
    "at",
    "notes",
    "manifest",
    "run",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Rows(Protocol):
    """Where rows go."""

    def __call__(self, outcome: Outcome, manifest: str, run: str) -> None: ...


@contextmanager
def csv_rows(file: TextIO) -> Iterator[Rows]:
    """RFC 4180. A text that a spreadsheet would run as a formula gets an apostrophe before it: names are hostile."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)

    def write(outcome: Outcome, manifest: str, run: str) -> None:
        writer.writerow([_cell(value) for value in _values(outcome, manifest, run).values()])

    yield write


@contextmanager
def json_rows(file: TextIO) -> Iterator[Rows]:
    """One JSON array, a row a line."""
    first = True

    def write(outcome: Outcome, manifest: str, run: str) -> None:
        nonlocal first
        file.write(("[\n" if first else ",\n") + json.dumps(_values(outcome, manifest, run)))
        first = False

    yield write
    file.write("[]\n" if first else "\n]\n")


def _values(outcome: Outcome, manifest: str, run: str) -> dict[str, str | int | list[str]]:
    return {
        "name": outcome.name,
        "etag": outcome.etag,
        "result": outcome.result.value,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "png": outcome.png,
        "bytes_in": outcome.bytes_in,
        "bytes_out": outcome.bytes_out,
        "pixels": outcome.pixels,
        "milliseconds": outcome.milliseconds,
        "at": outcome.at,
        "notes": list(outcome.notes),
        "manifest": manifest,
        "run": run,
    }


def _cell(value: str | int | list[str]) -> str | int:
    text = " ".join(value) if isinstance(value, list) else value
    if isinstance(text, str) and text.startswith(_FORMULA):
        return "'" + text
    return text
