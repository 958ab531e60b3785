"""The processes of a round: started, killed, restarted on the same port, and counted to the last one.

For a round this process becomes the reaper of its descendants (Linux: prctl(2), PR_SET_CHILD_SUBREAPER), so whatever
outlives its parent becomes a child of ours and cannot hide.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36


class ProcessError(Exception):
    """A process did not start, or did not stop."""


@contextlib.contextmanager
def adopted_orphans() -> Iterator[None]:
    """Within, orphans become children of this process. On systems other than Linux they go to init, unseen."""
    _set_reaper(1)
    try:
        yield
    finally:
        _set_reaper(0)


def _set_reaper(on: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to start a process and how to know that it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ready: str
    """Regular expression, searched in what it writes."""
    ready_seconds: float = 90.0


class Service:
    """One process that is started again after each end."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """0 while it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    async def start(self) -> str:
        """Starts it and waits until it is ready. The first group of `ready`. Raises ProcessError."""
        self.starts += 1
        with self.program.log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it takes milliseconds, and nothing is served here
                self.program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.environment),
                cwd=self.program.folder,
            )
        deadline = time.monotonic() + self.program.ready_seconds
        while time.monotonic() < deadline:
            said = self.program.log.read_bytes()[before:].decode("utf-8", "replace")
            if found := re.search(self.program.ready, said):
                return found.group(1)
            if self._process.poll() is not None:
                raise ProcessError(f"{self.program.name} ended with {self._process.returncode}: {said[-2000:]}")
            await asyncio.sleep(0.05)
        raise ProcessError(f"{self.program.name} was not ready in {self.program.ready_seconds:g} s")

    async def kill(self) -> None:
        """SIGKILL, to this process alone: what it leaves behind is its affair."""
        await self._end(signal.SIGKILL, grace=5.0)

    async def stop(self, grace: float = 30.0) -> None:
        """SIGTERM. Raises ProcessError when it does not end within `grace` seconds."""
        await self._end(signal.SIGTERM, grace=grace)

    async def _end(self, number: signal.Signals, grace: float) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        deadline = time.monotonic() + grace
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                raise ProcessError(f"{self.program.name} ignored {number.name} for {grace:g} s")
            await asyncio.sleep(0.02)


def descendants(*, of: int | None = None, saying: str = "") -> list[psutil.Process]:
    """Living processes below `of` (default: this one) whose command line contains `saying`."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(of).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if process.status() != psutil.STATUS_ZOMBIE and saying in " ".join(process.cmdline()):
                    found.append(process)
    return found


async def orphans(*, patience: float, besides: Collection[int] = ()) -> list[str]:
    """What still lives below this process after `patience` seconds, but for the pids `besides`; the dead are reaped."""
    deadline = time.monotonic() + patience
    while True:
        _reap()
        left = [process for process in descendants() if process.pid not in besides]
        if not left or time.monotonic() > deadline:
            return [_describe(process) for process in left]
        await asyncio.sleep(0.1)


def _reap() -> None:
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)


def _describe(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} (parent {process.ppid()}): {' '.join(process.cmdline())[:200]}"
    return str(process.pid)
