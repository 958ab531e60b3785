"""The converting processes of a node, and what becomes of an image when one of them dies or takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.errors import RetryableError
from shared.worker_settings import ConversionSettings, environ_of
from worker.reasons import Reason, RejectedError
from worker.wire import CONVERTED, DATA, HELLO, REJECTED, Png, receive

_START_SECONDS = 60.0
_TRIES = 2
_BUFFER = 1 << 20  # bytes of a socket's buffer, both ways


class DiedError(RetryableError):
    """A converting process ended without an answer."""


class OverdueError(RetryableError):
    """A converting process had no answer by the deadline; it was killed."""


class Converter:
    """One process and its socket. Not thread-safe: one request at a time."""

    def __init__(self, settings: ConversionSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            self._process = subprocess.Popen(  # noqa: S603 (our own module, no word from outside)
                [sys.executable, "-m", "worker.converter", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**environ, **environ_of(settings)},
            )
        self._socket = ours
        self._ready = False
        self.busy = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ready(self) -> bool:
        """Whether the process has said its first word."""
        return self._ready

    def wait_ready(self) -> None:
        """Waits for the process's first word. Raises DiedError where it ends or says nothing."""
        if self._ready:
            return
        try:
            self._socket.settimeout(_START_SECONDS)
            self._ready = self._frame()[0] == HELLO
        except (OSError, EOFError) as error:
            raise DiedError(f"a converting process did not start ({error}); its error is above") from error

    def convert(self, jpeg: bytes) -> Png:
        """The PNG of a JPEG. Raises RejectedError, OverdueError, or DiedError."""
        self.wait_ready()
        self.busy = True
        try:
            return self._exchange(jpeg)
        finally:
            self.busy = False

    def _exchange(self, jpeg: bytes) -> Png:
        deadline = time.monotonic() + self._settings.max_seconds
        pieces: list[bytearray] = []
        try:
            self._socket.settimeout(self._settings.max_seconds)
            self._socket.sendall(len(jpeg).to_bytes(8, "big"))
            self._socket.sendall(jpeg)
            while True:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                kind, body = self._frame()
                if kind != DATA:
                    return _finished(kind, body, pieces)
                pieces.append(body)
        except TimeoutError as error:
            raise OverdueError(f"no answer within {self._settings.max_seconds:g} seconds") from error
        except (OSError, EOFError) as error:
            raise DiedError(self._end()) from error

    def hang_up(self) -> None:
        """Closes the socket; the process ends when it notices."""
        self._socket.close()

    def close(self) -> None:
        """Ends the process now."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _frame(self) -> tuple[bytes, bytearray]:
        header = receive(self._socket, 5)
        body = receive(self._socket, int.from_bytes(header[1:], "big")) if header is not None else None
        if header is None or body is None:
            raise EOFError("the socket was closed")
        return bytes(header[:1]), body

    def _end(self) -> str:
        """How the process ended, in words."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its socket"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"it ended with status {status}"


class Converters:
    """All converting processes of a node. `convert` may be called from many threads; each waits for a free process."""

    def __init__(self, count: int, settings: ConversionSettings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._environ = dict(os.environ if environ is None else environ)
        self._free: queue.SimpleQueue[Converter] = queue.SimpleQueue()
        self._all: set[Converter] = set()
        self._closed = False
        self.count = count
        self.threads = ThreadPoolExecutor(count, thread_name_prefix="convert")
        for _ in range(count):
            self._free.put(self._start())

    def convert(self, jpeg: bytes) -> Png:
        """The PNG of a JPEG.

        Raises RejectedError, with too-slow where the deadline passed and decoder-died where two processes in turn ended
        on it (the first may have been ended by the node for want of memory). Raises DiedError where none would start.
        """
        for attempt in range(1, _TRIES + 1):
            converter = self._free.get()
            try:
                converter.wait_ready()
                return converter.convert(jpeg)
            except OverdueError as error:
                converter = self._replace(converter)
                raise RejectedError(Reason.TOO_SLOW, limit=self._settings.max_seconds) from error
            except DiedError as error:
                started, converter = converter.ready, self._replace(converter)
                if self._closed or not started:
                    raise
                if attempt == _TRIES:
                    raise RejectedError(Reason.DECODER_DIED, found=error) from error
            finally:
                self._free.put(converter)
        raise AssertionError("unreachable: the last try returns or raises")

    def pids(self) -> list[int]:
        """The processes' ids, for whoever measures or ends them."""
        return [converter.pid for converter in list(self._all)]

    def busy(self, pid: int) -> bool:
        """Whether the process with this id has an image in hand."""
        return any(converter.pid == pid and converter.busy for converter in list(self._all))

    def hang_up(self) -> None:
        """Closes the sockets, as the end of this process would; the processes end by themselves."""
        for converter in list(self._all):
            converter.hang_up()

    def close(self) -> None:
        """Ends all processes; a conversion under way ends with DiedError."""
        self._closed = True
        for converter in list(self._all):
            converter.close()
        self.threads.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> Converter:
        converter = Converter(self._settings, self._environ)
        self._all.add(converter)
        return converter

    def _replace(self, converter: Converter) -> Converter:
        self._all.discard(converter)
        with contextlib.suppress(OSError):
            converter.close()
        return converter if self._closed else self._start()


def _finished(kind: bytes, body: bytearray, pieces: list[bytearray]) -> Png:
    answer = json.loads(body)
    if kind == REJECTED:
        raise RejectedError.told(Reason(answer["reason"]), answer["detail"])
    if kind != CONVERTED:
        raise EOFError(f"an answer of an unknown kind {kind!r}")
    return Png(
        pieces=tuple(pieces),
        size=sum(len(piece) for piece in pieces),
        width=answer["width"],
        height=answer["height"],
        mode=answer["mode"],
        notes=tuple(answer["notes"]),
    )
