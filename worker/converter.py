"""A converting process: takes JPEGs over a socket, answers with PNGs in pieces, one at a time, until the socket closes.

`python -m worker.converter FD` is started by `worker/converters.py`. A process of its own, because a decoder may crash,
hang or eat memory: it then takes down one image. Its settings come by environment.

The wire: a request is 8 bytes of length and the JPEG. An answer is frames of one byte of kind, 4 bytes of length and a
body: any number of `D` (the PNG goes on), then one of `C` (converted) or `R` (rejected), whose body is JSON. The first
frame of all is `H` (hello): the process is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import sys

from shared.settings import read
from shared.worker_settings import ConversionSettings
from worker.conversion import convert
from worker.reasons import Reason, RejectedError

HELLO, DATA, CONVERTED, REJECTED = b"H", b"D", b"C", b"R"
_SPARE_SECONDS = 10  # beyond the deadline, which the parent watches; this one is for a parent that was killed


def serve(connection: socket.socket, settings: ConversionSettings) -> None:
    """Answers requests until the other side closes."""
    _send(connection, HELLO, b"")
    while True:
        length = receive(connection, 8)
        if length is None:
            return
        jpeg = receive(connection, int.from_bytes(length, "big"))
        if jpeg is None:
            return
        signal.alarm(int(settings.max_seconds) + _SPARE_SECONDS)  # ends the process: the default action needs no lock
        kind, answer = _answer(connection, bytes(jpeg), settings)
        signal.alarm(0)
        _send(connection, kind, json.dumps(answer).encode())


def receive(connection: socket.socket, size: int) -> bytearray | None:
    """Exactly `size` bytes, or None when the other side has closed."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    got = 0
    while got < size:
        count = connection.recv_into(view[got:])
        if count == 0:
            return None
        got += count
    return buffer


def _answer(connection: socket.socket, jpeg: bytes, settings: ConversionSettings) -> tuple[bytes, dict[str, object]]:
    try:
        done = convert(jpeg, settings, lambda piece: _send(connection, DATA, piece))
    except RejectedError as rejected:
        return REJECTED, {"reason": rejected.reason.value, "detail": rejected.detail}
    except MemoryError:
        memory = RejectedError(Reason.TOO_MUCH_MEMORY, limit=settings.max_memory)
        return REJECTED, {"reason": memory.reason.value, "detail": memory.detail}
    notes = [note.value for note in done.notes]
    return CONVERTED, {"width": done.width, "height": done.height, "mode": done.mode, "notes": notes}


def _send(connection: socket.socket, kind: bytes, body: bytes) -> None:
    header = kind + len(body).to_bytes(4, "big")
    if len(body) < 1 << 16:
        connection.sendall(header + body)
    else:
        connection.sendall(header)
        connection.sendall(body)


def main() -> int:
    """Serves the socket whose descriptor is the first argument."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a node's notice goes to the whole group: the parent decides
        signal.signal(number, signal.SIG_IGN)
    settings = read(ConversionSettings, os.environ)
    resource.setrlimit(resource.RLIMIT_AS, (settings.max_memory, settings.max_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with (
        contextlib.suppress(BrokenPipeError, ConnectionResetError),
        socket.socket(fileno=int(sys.argv[1])) as connection,
    ):
        serve(connection, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
