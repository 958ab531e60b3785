"""Traces in files: JSON lines, a head and then the arrivals. What `--record` writes and `--trace FILE` reads.

    {"kind": "trace", "schema": 1, "name": "may", "about": "…", "length": 604800, "storms": []}
    {"at": 12.5}
    {"at": 60, "images": 200}

Times are seconds from the trace's start, which the simulation takes as a Monday, midnight UTC.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from darkroom.simulate.model import Storm
from darkroom.simulate.traces import Trace
from shared.document import decode, encode
from shared.errors import DocumentError

KIND, SCHEMA = "trace", 1


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace; arrivals of the same moment share a line."""
    head = {
        "name": trace.name,
        "about": trace.about,
        "length": trace.length,
        "storms": [asdict(storm) for storm in trace.storms],
    }
    with path.open("wb") as file:
        file.write(encode(KIND, SCHEMA, head) + b"\n")
        file.writelines(_lines(trace.arrivals))


def _lines(arrivals: Iterable[float]) -> Iterator[bytes]:
    last, images = None, 0
    for at in arrivals:
        if at != last and last is not None:
            yield _line(last, images)
            images = 0
        last, images = at, images + 1
    if last is not None:
        yield _line(last, images)


def _line(at: float, images: int) -> bytes:
    body = {"at": at} if images == 1 else {"at": at, "images": images}
    return json.dumps(body).encode() + b"\n"


def read_trace(path: Path) -> Trace:
    """Read a trace. Raises DocumentError, with the line, for what is none."""
    lines = path.read_text("utf-8").splitlines()
    head = decode(lines[0] if lines else "", KIND, SCHEMA, where=f"{path}:1")
    arrivals = array("d", sorted(_arrivals(lines[1:], path)))
    if not arrivals:
        raise DocumentError(f"{path}: a trace needs at least one arrival")
    try:
        return Trace(
            name=str(head["name"]),
            about=str(head.get("about", "")),
            length=max(float(head["length"]), arrivals[-1]),
            arrivals=arrivals,
            storms=tuple(Storm(**storm) for storm in head.get("storms", [])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"{path}:1: not the head of a trace ({error})") from error


def _arrivals(lines: list[str], path: Path) -> Iterator[float]:
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        try:
            entry: Any = json.loads(line)
            at, images = float(entry["at"]), int(entry.get("images", 1))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DocumentError(f"{path}:{number}: not an arrival ({error})") from error
        if at < 0 or images < 0:
            raise DocumentError(f"{path}:{number}: 'at' and 'images' must not be negative")
        yield from [at] * images
