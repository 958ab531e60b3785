"""The log of written blobs: Azurite's hook appends to it, the event service follows it.

The log is a folder of segments whose names sort by age. A position in it is a segment's name and a byte
offset; the reader stores its position together with the events that it made, so that each line becomes
events exactly once, whichever of the two processes dies in between.
"""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobWrite:
    """A blob was written. `content_length` is None where the request did not tell it.

    `etag` is empty where nobody heard the answer to its end: then the blob may have been written, or not.
    """

    at: datetime
    api: str
    account: str
    container: str
    blob: str
    etag: str
    blob_type: str
    content_length: int | None
    content_type: str
    request_id: str
    client_request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the log has been read: everything before `segment`, and `offset` bytes of it."""

    segment: str = ""
    offset: int = 0


class WriteLog:
    """Reads the segments in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, position: Position, *, limit_bytes: int = 256 * 1024) -> tuple[list[BlobWrite], Position]:
        """The writes after `position`, about `limit_bytes` of them at most, and the position behind them.

        Segments that lie wholly before the returned position stay until `forget` is called.
        """
        segments = self._segments(position.segment)
        for number, segment in enumerate(segments):
            newest = number == len(segments) - 1
            offset = position.offset if segment.name == position.segment else 0
            lines, end = _complete_lines(segment, offset, limit_bytes)
            if lines:
                return _parse_all(lines), Position(segment=segment.name, offset=end)
            if newest:
                return [], Position(segment=segment.name, offset=end)
            # An older segment gets no more lines: a torn last one died with its writer, and so did its request.
        return [], position

    def forget(self, position: Position) -> None:
        """Remove the segments before `position`'s."""
        for segment in self._segments(""):
            if segment.name < position.segment:
                segment.unlink(missing_ok=True)

    def _segments(self, first: str) -> list[Path]:
        return sorted(path for path in self._folder.glob("writes-*.jsonl") if path.name >= first)


def _complete_lines(segment: Path, offset: int, limit: int) -> tuple[list[bytes], int]:
    with segment.open("rb") as file:
        file.seek(offset)
        data = file.read(limit)
        if b"\n" not in data and len(data) == limit:  # one line longer than the limit
            data += file.readline()
    whole = data[: data.rfind(b"\n") + 1]
    return whole.splitlines(), offset + len(whole)


def _parse_all(lines: list[bytes]) -> list[BlobWrite]:
    writes: list[BlobWrite] = []
    for line in lines:
        try:
            write = _parse(json.loads(line))
        except (ValueError, KeyError) as error:
            # A full disk can tear a line. The application's sweep finds the image that it was about.
            _log.warning("a write notice cannot be read (%r): %.200r", error, line)
            continue
        if write is not None:
            writes.append(write)
    return writes


def _parse(line: dict[str, Any]) -> BlobWrite | None:
    # Azurite addresses are /account/container/blob; a backslash in a name is a slash to it, as to Azure.
    parts = unquote(line["path"]).replace("\\", "/").split("/", 3)
    if len(parts) < 4 or not parts[3]:
        return None
    carried = line["api"] == "PutBlob" and line["etag"] and line["contentLength"] >= 0
    return BlobWrite(
        at=datetime.fromtimestamp(line["time"] / 1000, UTC),
        api=line["api"],
        account=parts[1],
        container=parts[2],
        blob=parts[3],
        etag=line["etag"].strip('"'),
        blob_type=line["blobType"] or "BlockBlob",
        content_length=line["contentLength"] if carried else None,
        content_type=line["contentType"] or "application/octet-stream",
        request_id=line["requestId"],
        client_request_id=line["clientRequestId"],
    )
