"""The service's side of the keeper: start and stop processes, hear of their ends."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.batch.runner import keeper

_LOG = logging.getLogger(__name__)
_LINE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process ended with `code`, or could not be started: `error` is notfound or failed."""

    code: int | None = None
    error: str | None = None
    text: str = ""


class Processes:
    """Starts its keeper with the first process. `ended(run_id, Ended)` is called on the event loop."""

    def __init__(self, ended: Callable[[int, Ended], None]) -> None:
        self._ended = ended
        self._keeper: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._queue: list[bytes] = []
        self._running: set[int] = set()
        self._reading: asyncio.Task[None] | None = None
        self._closing = False

    def start(
        self, run_id: int, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], out: Path, err: Path
    ) -> None:
        self._running.add(run_id)
        self._send(
            {
                "start": run_id,
                "argv": list(argv),
                "cwd": str(cwd),
                "env": dict(env),
                "out": str(out),
                "err": str(err),
            }
        )

    def stop(self, run_id: int, grace: float) -> None:
        """SIGTERM to the process group now, SIGKILL after `grace` seconds."""
        if run_id in self._running:
            self._send({"stop": run_id, "grace": grace})

    def _send(self, request: Mapping[str, object]) -> None:
        line = json.dumps(request).encode() + b"\n"
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.write(line)
            return
        self._queue.append(line)
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start_keeper())

    async def _start_keeper(self) -> None:
        self._keeper = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(keeper.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={},
            limit=_LINE_LIMIT,
        )
        queue, self._queue = self._queue, []
        if self._keeper.stdin is not None:
            self._keeper.stdin.writelines(queue)
        self._reading = asyncio.get_running_loop().create_task(self._read(self._keeper))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            message = json.loads(line)
            run_id = int(message["id"])
            self._running.discard(run_id)
            self._ended(
                run_id,
                Ended(code=message.get("code"), error=message.get("error"), text=str(message.get("text", ""))),
            )
        await process.wait()
        self._lost()

    def _lost(self) -> None:
        """The keeper is gone, and with it all its processes."""
        self._keeper = self._starting = None
        running, self._running = self._running, set()
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
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
        if self._reading is not None:
            await self._reading
