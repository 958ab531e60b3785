"""Starts, watches and ends processes; a small program of its own, spoken to in lines of JSON over its standard streams.

Why a process of its own: whatever happens to the service (kill -9 included), its end of the pipe closes, and this
program then kills every process that it started, and on Linux also those that they left behind, which it adopts. It is
small, so that starting a process is cheap. Standard library only; started with `python -I -S`.

In:  {"node": NODE, "env": {...}}, once before its first start: what all runs on that node share
     {"start": ID, "node": NODE, "argv": [...], "dir": PATH, "wd": PATH, "env": {...}}
     {"stop": ID, "grace": SECONDS}
Out: {"id": ID, "pid": N}, when it has run for a moment
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
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform.startswith("linux")
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_MOMENT = 0.05
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD)


class Keeper:
    """The processes of one service."""

    def __init__(self) -> None:
        self._running: dict[int, int] = {}  # by pid: the run
        self._pids: dict[int, int] = {}  # by run: the pid
        self._nodes: dict[str, dict[str, str]] = {}
        self._programs: dict[tuple[str, str], str] = {}
        self._kills: list[tuple[float, int]] = []
        self._new: dict[int, float] = {}  # by run: when it started; not told yet
        self._input = b""
        self._output: list[str] = []

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
                self._tell_new()
                if 0 in readable and not self._serve():
                    return
                self._flush()
        finally:
            self._kill_all()

    def _patience(self) -> float | None:
        due = [when for when, _ in self._kills]
        if self._new:
            due.append(next(iter(self._new.values())) + _MOMENT)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _serve(self) -> bool:
        data = os.read(0, 1 << 20)
        if not data:
            return False
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "start" in request:
                self._start(request)
            elif "stop" in request:
                self._stop(request["stop"], request["grace"])
            else:
                self._nodes[request["node"]] = request["env"]
        return True

    def _start(self, request: dict[str, Any]) -> None:
        run_id, directory, argv = request["start"], request["dir"], request["argv"]
        environment = {**self._nodes[request["node"]], **request["env"]}
        try:
            self._enter(directory, request["wd"])
            program = self._program(argv[0], environment.get("PATH", ""))
            if program is None:
                self._say({"id": run_id, "error": "notfound", "text": f"No such program: {argv[0]!r}"})
                return
            pid = os.posix_spawn(
                program,
                argv,
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, f"{directory}/stdout.txt", _WRITE, 0o644),
                    (os.POSIX_SPAWN_OPEN, 2, f"{directory}/stderr.txt", _WRITE, 0o644),
                ),
                setpgroup=0,
                setsigdef=_DEFAULT_SIGNALS,
            )
        except (OSError, ValueError) as error:
            self._say({"id": run_id, "error": "failed", "text": str(error)})
            return
        self._running[pid] = run_id
        self._pids[run_id] = pid
        self._new[run_id] = time.monotonic()

    def _tell_new(self) -> None:
        """Most runs that are over in a moment need not be told of twice."""
        before = time.monotonic() - _MOMENT
        while self._new:
            run_id, started = next(iter(self._new.items()))
            if started > before:
                return
            del self._new[run_id]
            self._say({"id": run_id, "pid": self._pids[run_id]})

    @staticmethod
    def _enter(directory: str, working: str) -> None:
        """Make the run's directories and go there: a process starts where its parent is."""
        try:
            os.mkdir(directory)
            os.mkdir(working)
        except (FileExistsError, FileNotFoundError):
            os.makedirs(working, exist_ok=True)
        os.chdir(working)

    def _program(self, name: str, path: str) -> str | None:
        """Where the program is: by the PATH that the run sees; a name with a slash, relative to its directory."""
        if "/" in name:
            return name if os.path.exists(name) else None
        known = self._programs.get((name, path))
        if known is not None and os.access(known, os.X_OK):
            return known
        for folder in path.split(os.pathsep):
            candidate = f"{folder or '.'}/{name}"
            if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
                self._programs[name, path] = candidate
                return candidate
        return None

    def _stop(self, run_id: int, grace: float) -> None:
        pid = self._pids.get(run_id)
        if pid is not None:
            self._signal(pid, signal.SIGTERM if grace > 0 else signal.SIGKILL)
            self._kills.append((time.monotonic() + grace, pid))

    def _kill_overdue(self) -> None:
        if not self._kills:
            return
        now = time.monotonic()
        for when, pid in self._kills:
            if when <= now and pid in self._running:
                self._signal(pid, signal.SIGKILL)
        self._kills = [(when, pid) for when, pid in self._kills if when > now and pid in self._running]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            run_id = self._running.pop(pid, None)
            if run_id is None:
                continue  # something that a task left behind
            del self._pids[run_id]
            self._new.pop(run_id, None)
            code = os.waitstatus_to_exitcode(status)
            self._signal(pid, signal.SIGKILL)  # the rest of its group
            self._say({"id": run_id, "code": code if code >= 0 else 128 - code})

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    def _say(self, message: dict[str, Any]) -> None:
        self._output.append(json.dumps(message))

    def _flush(self) -> None:
        """Say all that happened in this turn at once."""
        if not self._output:
            return
        data = ("\n".join(self._output) + "\n").encode()
        self._output.clear()
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(1, data) :]

    def _kill_all(self) -> None:
        for pid in self._running:
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
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    gc.freeze()
    gc.disable()  # nothing here makes cycles
    Keeper().run()


if __name__ == "__main__":
    main()
