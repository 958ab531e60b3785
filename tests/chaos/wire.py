"""HTTP/1.1 messages as bytes, read from a stream and kept exactly as they came, so that signatures survive.

Framing after RFC 9112, section 6: no body, Content-Length, chunked, or (answers only) until the connection closes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MAX_HEAD = 1 << 20  # bytes; Azure's own limit is far lower
_NO_BODY = {204, 304}


class WireError(Exception):
    """The peer closed in mid-message, or sent no HTTP/1.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request or an answer."""

    start: str
    """The request line or the status line."""
    headers: dict[str, str]
    """Lower-case names; of repeated headers the last."""
    head: bytes
    """Start line and headers as they came, empty line included."""
    body: bytes
    """As it came: chunked bodies keep their framing."""
    until_close: bool = False
    """The body ended with the connection."""

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """Path and query of a request, as sent."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.start.split(" ")[1])

    @property
    def raw(self) -> bytes:
        """The whole message."""
        return self.head + self.body

    @property
    def keeps_alive(self) -> bool:
        """Whether another message may follow on the connection."""
        return not self.until_close and self.headers.get("connection", "").lower() != "close"


async def read_request(reader: asyncio.StreamReader) -> Message | None:
    """The next request, or None when the client has closed. Raises WireError when it closes in the middle."""
    head = await _read_head(reader)
    if head is None:
        return None
    start, headers = _parse(head)
    return Message(start=start, headers=headers, head=head, body=await _read_framed(reader, headers))


async def read_answer(reader: asyncio.StreamReader, *, method: str) -> Message:
    """The answer to a request of `method`; interim 1xx answers are passed over. Raises WireError."""
    while True:
        head = await _read_head(reader)
        if head is None:
            raise WireError("closed before the answer")
        start, headers = _parse(head)
        status = int(start.split(" ")[1])
        if status >= 200:
            break
    if method == "HEAD" or status in _NO_BODY:
        return Message(start=start, headers=headers, head=head, body=b"")
    if "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower():
        return Message(start=start, headers=headers, head=head, body=await _read_framed(reader, headers))
    return Message(start=start, headers=headers, head=head, body=await reader.read(), until_close=True)


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise WireError("closed within the head of a message") from error
    except asyncio.LimitOverrunError as error:
        raise WireError("the head of a message is too long") from error


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    start, *lines = head.decode("latin-1").split("\r\n")
    if len(start.split(" ")) < 2:
        raise WireError(f"not HTTP/1.1: {start[:80]!r}")
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return start, {name.strip().lower(): value.strip() for name, value in pairs}


async def _read_framed(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    try:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await _read_chunks(reader)
        return await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError as error:
        raise WireError("closed within the body of a message") from error


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        parts.append(line)
        size = int(line.split(b";", 1)[0], 16)
        if size:
            parts.append(await reader.readexactly(size + 2))
            continue
        while (trailer := await reader.readuntil(b"\r\n")) != b"\r\n":
            parts.append(trailer)
        parts.append(b"\r\n")
        return b"".join(parts)
