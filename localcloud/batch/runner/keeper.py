"""Starts, watches and ends processes; a small program of its own, spoken to in lines of JSON over its standard streams.

Why a process of its own: whatever happens to the service (kill -9 included), its end of the pipe closes, and this
program then kills every process that it started, and on Linux also those that they left behind, which it adopts. It is
small, so that starting a process is cheap, and asks the kernel for nothing that would make it less so. Standard library
only; started with `python -I -S`.

In:  {"start": ID, "argv": [...], "cwd": ..., "env": {...}, "out": PATH, "err": PATH}
     {"stop": ID, "grace": SECONDS}
Out: {"id": ID, "pid": N}, when it started
     {"id": ID, "code": N}, when it ended (killed by signal S: 128 + S)
     {"id": ID, "error": "notfound" | "failed", "text": ...}
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform.startswith("linux")
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None


class Keeper:
    """The processes of one service."""

    def __init__(self) -> None:
        self._processes: dict[int, tuple[int, subprocess.Popen[bytes]]] = {}  # by pid: (id, process)
        self._pids: dict[int, int] = {}
        self._kills: list[tuple[float, int]] = []
        self._input = b""

    def run(self) -> None:
        """Serve until the other end of standard input is closed; then kill everything."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        os.set_blocking(0, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            while True:
                readable, _, _ = select.select([0, wake_read], [], [], self._patience())
                if wake_read in readable:
                    os.read(wake_read, 65536)
                self._reap()
                self._kill_overdue()
                if 0 in readable and not self._serve():
                    return
        finally:
            self._kill_all()

    def _patience(self) -> float | None:
        return max(0.0, min(when for when, _ in self._kills) - time.monotonic()) if self._kills else None

    def _serve(self) -> bool:
        data = os.read(0, 1 << 20)
        if not data:
            return False
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "start" in request:
                self._start(request)
            else:
                self._stop(request["stop"], request["grace"])
        return True

    def _start(self, request: dict[str, Any]) -> None:
        try:
            with Path(request["out"]).open("wb") as out, Path(request["err"]).open("wb") as err:
                process = subprocess.Popen(  # noqa: S603 - running command lines is what this program is for
                    request["argv"],
                    cwd=request["cwd"],
                    env=request["env"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    process_group=0,
                )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            missing = isinstance(error, FileNotFoundError) and error.filename != request["cwd"]
            self._say({"id": request["start"], "error": "notfound" if missing else "failed", "text": str(error)})
            return
        self._processes[process.pid] = (request["start"], process)
        self._pids[request["start"]] = process.pid
        self._say({"id": request["start"], "pid": process.pid})

    def _stop(self, run_id: int, grace: float) -> None:
        pid = self._pids.get(run_id)
        if pid is not None:
            self._signal(pid, signal.SIGTERM if grace > 0 else signal.SIGKILL)
            self._kills.append((time.monotonic() + grace, pid))

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for when, pid in self._kills:
            if when <= now and pid in self._processes:
                self._signal(pid, signal.SIGKILL)
        self._kills = [(when, pid) for when, pid in self._kills if when > now and pid in self._processes]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            known = self._processes.pop(pid, None)
            if known is None:
                continue  # something a task left behind
            run_id, process = known
            del self._pids[run_id]
            code = os.waitstatus_to_exitcode(status)
            process.returncode = code
            self._signal(pid, signal.SIGKILL)  # the rest of its group
            self._say({"id": run_id, "code": code if code >= 0 else 128 - code})

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    @staticmethod
    def _say(message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(1, line) :]

    def _kill_all(self) -> None:
        for pid in self._processes:
            self._signal(pid, signal.SIGKILL)
        for pid in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    """Processes whose parent is this one, those that were adopted included (Linux)."""
    found = []
    for entry in Path("/proc").iterdir() if _LINUX else ():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


def main() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    gc.freeze()
    gc.disable()  # nothing here makes cycles, and a fork is cheaper when no page is touched
    Keeper().run()


if __name__ == "__main__":
    main()
