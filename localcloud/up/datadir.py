"""The folder that a local cloud lives in: one `up` at a time, private, and found as it was left."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from localcloud.errors import StartError
from localcloud.functions.keys import write_private
from localcloud.loopback import free_port, is_free, require_free

_OLD_LOGS = 3
_LAST_RUN_SECONDS = 15.0


class DataDir:
    """Opened with its lock held until `close`. Raises StartError where the folder cannot serve."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.azurite = self.path / "azurite"
        self.writes = self.path / "eventgrid" / "writes"
        self.queue = self.path / "eventgrid" / "queue.db"
        self.batch = self.path / "batch"
        self.keys = self.path / "keys.json"
        self.logs = self.path / "logs"
        self._endpoints = self.path / "endpoints.json"
        self._ports = self.path / "ports.json"
        self._processes = self.path / "processes.json"
        try:
            for folder in (self.azurite, self.writes, self.batch, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(f"the data folder {path} cannot be used: {error.strerror} ({error.filename})") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StartError(
                f"another local cloud runs in {path}: stop it, or pass --data with another folder"
            ) from error

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock)

    def log(self, name: str) -> Path:
        """A fresh log file; those of the last runs are kept as NAME.log.1 and so on."""
        newest = self.logs / f"{name}.log"
        for number in range(_OLD_LOGS, 0, -1):
            older = self.logs / f"{name}.log.{number}"
            newer = newest if number == 1 else self.logs / f"{name}.log.{number - 1}"
            if newer.exists():
                newer.replace(older)
        return newest

    def port(self, service: str, requested: int, *, option: str) -> int:
        """The port to serve on: the requested one, or for 0 the last run's if it is free, else any.

        Keeping a picked port lets what names it (a task's environment, an open page) outlive a restart.
        """
        require_free(requested, service=service, option=option)
        ports = _read_object(self._ports)
        port = requested
        if not port:
            last = ports.get(service)
            port = last if isinstance(last, int) and last > 0 and is_free(last) else free_port()
        self._ports.write_text(json.dumps({**ports, service: port}) + "\n", encoding="utf-8")
        return port

    def write_endpoints(self, endpoints: Mapping[str, object]) -> None:
        """Say where everything is, for scripts. It holds keys, so only its owner can read it."""
        write_private(self._endpoints, json.dumps(endpoints, indent=2) + "\n")

    def remove_endpoints(self) -> None:
        """Nothing is served any more."""
        self._endpoints.unlink(missing_ok=True)

    def remember_processes(self, pids: Mapping[str, int]) -> None:
        """Note the children, so that the next start can wait for those that outlive this process a little."""
        known = {name: [pid, psutil.Process(pid).create_time()] for name, pid in pids.items() if psutil.pid_exists(pid)}
        self._processes.write_text(json.dumps(known) + "\n", encoding="utf-8")

    def end_last_run(self, *, wait_seconds: float = _LAST_RUN_SECONDS) -> None:
        """Wait for the children of an `up` that was killed; end those that do not end by themselves."""
        self.remove_endpoints()
        left = [process for entry in _read_object(self._processes).values() if (process := _same_process(entry))]
        _, alive = psutil.wait_procs(left, timeout=wait_seconds)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
        self._processes.unlink(missing_ok=True)


def _same_process(entry: object) -> psutil.Process | None:
    match entry:
        case [int(pid), float(created)]:
            try:
                process = psutil.Process(pid)
                return process if abs(process.create_time() - created) < 1 else None
            except psutil.NoSuchProcess:
                return None
        case _:
            return None


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # torn by a crash: it only saves time and keeps ports
    return value if isinstance(value, dict) else {}
