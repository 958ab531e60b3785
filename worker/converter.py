"""A converting process: takes JPEGs over a socket, answers with PNGs in pieces, one at a time, until the socket closes.

`python -m worker.converter FD` is started by `worker/converters.py`. A process of its own, because a decoder may crash,
hang or eat memory: it then takes down one image. Its settings come by environment.
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
from worker.wire import CONVERTED, DATA, HELLO, REJECTED, receive, send

_SPARE_SECONDS = 10  # beyond the deadline, which the parent watches; this one is for a parent that was killed


def serve(connection: socket.socket, settings: ConversionSettings) -> None:
    """Answers requests until the other side closes."""
    send(connection, HELLO, b"")
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
        send(connection, kind, json.dumps(answer).encode())


def _answer(connection: socket.socket, jpeg: bytes, settings: ConversionSettings) -> tuple[bytes, dict[str, object]]:
    try:
        done = convert(jpeg, settings, lambda piece: send(connection, DATA, piece))
    except RejectedError as rejected:
        return REJECTED, {"reason": rejected.reason.value, "detail": rejected.detail}
    except MemoryError:
        memory = RejectedError(Reason.TOO_MUCH_MEMORY, limit=settings.max_memory)
        return REJECTED, {"reason": memory.reason.value, "detail": memory.detail}
    notes = [note.value for note in done.notes]
    return CONVERTED, {"width": done.width, "height": done.height, "mode": done.mode, "notes": notes}


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
