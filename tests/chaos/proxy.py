"""A reverse proxy on loopback that passes bytes unchanged, except where the weather says otherwise.

Requests keep their path, query and headers (Host too, so that absolute addresses in answers lead back to the proxy),
so SharedKey signatures of storage and Batch stay good. Messages are held whole in memory: this is for tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from enum import StrEnum
from types import TracebackType
from typing import Self

from tests.chaos.weather import Fault, Weather
from tests.chaos.wire import MAX_HEAD, Message, WireError, read_answer, read_request

RETRY_AFTER = 1  # seconds, where an answer names it
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Dialect(StrEnum):
    """Whose error documents the proxy speaks."""

    STORAGE = "storage"
    BATCH = "batch"


_DENIALS = {Dialect.STORAGE: "AuthorizationPermissionMismatch", Dialect.BATCH: "PermissionDenied"}
_REFUSALS: dict[Fault, tuple[int, str, dict[Dialect, str], bool]] = {
    Fault.DENIED: (403, "Forbidden", _DENIALS, False),
    Fault.TOO_MANY: (429, "Too Many Requests", dict.fromkeys(Dialect, "TooManyRequests"), False),
    Fault.TOO_MANY_LATER: (429, "Too Many Requests", dict.fromkeys(Dialect, "TooManyRequests"), True),
    Fault.INTERNAL: (500, "Internal Server Error", dict.fromkeys(Dialect, "InternalError"), False),
    Fault.FALSE_ERROR: (500, "Operation Timed Out", dict.fromkeys(Dialect, "OperationTimedOut"), False),
    Fault.BUSY: (503, "Server Busy", dict.fromkeys(Dialect, "ServerBusy"), False),
    Fault.BUSY_LATER: (503, "Server Busy", dict.fromkeys(Dialect, "ServerBusy"), True),
}


class FaultProxy:
    """Listens on 127.0.0.1 and forwards to one service. Use as an async context manager."""

    def __init__(self, *, upstream_port: int, weather: Weather, dialect: Dialect, port: int = 0) -> None:
        self._upstream_port = upstream_port
        self._weather = weather
        self._dialect = dialect
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=MAX_HEAD)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        await _turns()  # a connection that was just accepted becomes a task first
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _turns()  # what was aborted is closed by the loop

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        upstream = _Upstream(self._upstream_port)
        try:
            while (request := await read_request(reader)) is not None:
                if not await self._pass(request, writer, upstream):
                    break
        except (WireError, OSError):
            _reset(writer)  # either side broke off: the other learns it the hard way, as on a real network
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            upstream.close()
            writer.close()

    async def _pass(self, request: Message, client: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """One request and its answer. Whether the connection lives on."""
        fault = self._weather.draw(request.method, request.target)
        if fault is Fault.DROP:
            _reset(client)
            return False
        if fault is Fault.CUT_REQUEST:
            await upstream.send_part(request, self._weather.where_to_cut(len(request.raw)))
            _reset(client)
            return False
        if fault is Fault.DELAY:
            await asyncio.sleep(self._weather.delay())
        if fault in _REFUSALS and fault is not Fault.FALSE_ERROR:
            return await self._answer_error(fault, request, client)
        answer = await upstream.ask(request)
        if fault is Fault.DUPLICATE:
            answer = await upstream.ask(request)
        if fault is Fault.LOSE_ANSWER:
            _reset(client)
            return False
        if fault is Fault.FALSE_ERROR:
            return await self._answer_error(fault, request, client)
        if fault is Fault.CUT_ANSWER:
            client.write(answer.raw[: self._weather.where_to_cut(len(answer.raw))])
            await client.drain()
            _reset(client)
            return False
        client.write(answer.raw)
        await client.drain()
        return answer.keeps_alive and request.keeps_alive

    async def _answer_error(self, fault: Fault, request: Message, client: asyncio.StreamWriter) -> bool:
        status, phrase, codes, later = _REFUSALS[fault]
        code = codes[self._dialect]
        content_type, body = _error_document(self._dialect, code, phrase)
        lines = [
            f"HTTP/1.1 {status} {phrase}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            f"x-ms-error-code: {code}",
        ]
        if later:
            lines.append(f"Retry-After: {RETRY_AFTER}")
        client.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if request.method != "HEAD":
            client.write(body)
        await client.drain()
        return request.keeps_alive


class _Upstream:
    """The proxy's side of a connection to the service; opened when needed, again when the service closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: Message) -> Message:
        """The service's answer. Raises WireError or OSError when it is away."""
        reader, writer = await self._connection()
        writer.write(request.raw)
        await writer.drain()
        answer = await read_answer(reader, method=request.method)
        if not answer.keeps_alive:
            self.close()
        return answer

    async def send_part(self, request: Message, length: int) -> None:
        """Only the first bytes of a request, then a reset."""
        _, writer = await self._connection()
        writer.write(request.raw[:length])
        await writer.drain()
        _reset(writer)
        self.close()

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._reader.at_eof():
            self.close()  # services drop idle connections (Azurite after 5 s): that is no fault to pass on
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=MAX_HEAD)
        return self._reader, self._writer


async def _turns() -> None:
    """Lets the loop do what it has at hand; that takes it a few turns."""
    for _ in range(8):
        await asyncio.sleep(0)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # the peer may have closed it first
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _error_document(dialect: Dialect, code: str, phrase: str) -> tuple[str, bytes]:
    if dialect is Dialect.STORAGE:
        text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{phrase}</Message></Error>'
        return "application/xml", text.encode()
    body = {"odata.metadata": "error", "code": code, "message": {"lang": "en-US", "value": phrase}}
    return "application/json; odata=minimalmetadata", json.dumps(body).encode()
