"""The service's side of the keepers: start and stop processes, hear of their ends."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.batch.runner import keeper

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process ended with `code`; or `error` says that it was notfound, failed to start, or lost with its keeper."""

    code: int | None = None
    error: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """A process to be. `shared`: the environment that all runs on `node` have; `environment`: what this one has more.

    Its output goes to stdout.txt and stderr.txt in `directory`; both directories are made.
    """

    node: str
    shared: dict[str, str]
    argv: list[str]
    directory: str
    working: str
    environment: dict[str, str]


class Processes:
    """Starts and stops processes. `ended(run_id, Ended)` is called on the event loop.

    There are a few keepers, made when they are needed: starting a process keeps a keeper busy until its program runs,
    and tasks that start at the same time should not wait for one another.
    """

    def __init__(self, ended: Callable[[int, Ended], None], *, keepers: int = 4) -> None:
        self._ended = ended
        self._most = keepers
        self._keepers: list[_Keeper] = []
        self._places: dict[int, _Keeper] = {}

    def start(self, run_id: int, launch: Launching) -> None:
        chosen = self._least_loaded()
        self._places[run_id] = chosen
        chosen.start(run_id, launch)

    def _least_loaded(self) -> "_Keeper":
        best = min(self._keepers, key=lambda k: k.load, default=None)
        if best is None or (best.load and len(self._keepers) < self._most):
            best = _Keeper(self._run_ended)
            self._keepers.append(best)
        return best

    def _run_ended(self, run_id: int, end: Ended) -> None:
        self._places.pop(run_id, None)
        self._ended(run_id, end)

    def stop(self, run_id: int, grace: float) -> None:
        """SIGTERM to the process group now, SIGKILL after `grace` seconds."""
        place = self._places.get(run_id)
        if place is not None:
            place.stop(run_id, grace)

    async def close(self) -> None:
        """Kill everything that still runs and wait until it is gone."""
        await asyncio.gather(*(k.close() for k in self._keepers))


class _Keeper:
    """One keeper process and the runs that it was given."""

    def __init__(self, ended: Callable[[int, Ended], None]) -> None:
        self._ended = ended
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        self._queue: list[bytes] = []
        self._running: dict[int, int] = {}  # by run: its process, 0 until that is known
        self._closing = False
        self._nodes: set[str] = set()

    @property
    def load(self) -> int:
        return len(self._running)

    def start(self, run_id: int, launch: Launching) -> None:
        if launch.node not in self._nodes:
            self._nodes.add(launch.node)
            self._send({"node": launch.node, "env": launch.shared})
        self._running[run_id] = 0
        self._send(
            {
                "start": run_id,
                "node": launch.node,
                "argv": launch.argv,
                "dir": launch.directory,
                "wd": launch.working,
                "env": launch.environment,
            }
        )

    def stop(self, run_id: int, grace: float) -> None:
        """SIGTERM to the process group now, SIGKILL after `grace` seconds."""
        if run_id in self._running:
            self._send({"stop": run_id, "grace": grace})

    def _send(self, request: Mapping[str, object]) -> None:
        line = json.dumps(request).encode() + b"\n"
        if self._stdin is not None:
            self._stdin.write(line)
            return
        self._queue.append(line)
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start_keeper())

    async def _start_keeper(self) -> None:
        loop = asyncio.get_running_loop()
        command = (sys.executable, "-I", "-S", str(keeper.__file__))
        transport, _ = await loop.subprocess_exec(
            lambda: _Lines(self._told, self._lost), *command, stderr=None, start_new_session=True, env={}
        )
        self._transport = transport
        stdin = transport.get_pipe_transport(0)
        if isinstance(stdin, asyncio.WriteTransport):
            self._stdin = stdin
            queue, self._queue = self._queue, []
            stdin.writelines(queue)

    def _told(self, line: bytes) -> None:
        message = json.loads(line)
        run_id = int(message["id"])
        if "pid" in message:
            self._running[run_id] = int(message["pid"])
            return
        self._running.pop(run_id, None)
        self._ended(
            run_id, Ended(code=message.get("code"), error=message.get("error"), text=str(message.get("text", "")))
        )

    def _lost(self) -> None:
        """The keeper is gone. Its processes are not: nobody would hear of their ends, so they end now."""
        self._gone.set()
        if self._transport is not None:
            self._transport.close()
        self._transport = self._stdin = self._starting = None
        self._nodes.clear()
        running, self._running = self._running, {}
        for pid in running.values():
            if pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
        if self._closing:
            return
        _LOG.error("the process keeper ended unexpectedly, runs=%d", len(running))
        for run_id in sorted(running):
            self._ended(run_id, Ended(error="lost", text="The node's process keeper ended"))

    async def close(self) -> None:
        """Kill everything that still runs and wait until it is gone."""
        self._closing = True
        if self._starting is not None:
            await self._starting
        if self._stdin is not None:
            self._stdin.close()
            await self._gone.wait()


class _Lines(asyncio.SubprocessProtocol):
    """Cuts what a keeper says into lines; `lost` is called when it is gone."""

    def __init__(self, told: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._told = told
        self._lost = lost
        self._rest = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._told(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
