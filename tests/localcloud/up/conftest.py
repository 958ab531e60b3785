"""`localcloud up` as a process, with the sample app."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[3]
SAMPLE = Path(__file__).parents[1] / "sample"


def wait_for(condition: Callable[[], object], *, what: str, seconds: float = 60) -> None:
    """Return when `condition` is true; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.05)


@dataclass(slots=True)
class Up:
    """A local cloud that was started as a user starts it."""

    process: "subprocess.Popen[str]"
    data: Path
    output: Path
    errors: Path
    family: list[psutil.Process]

    @property
    def endpoints(self) -> dict[str, Any]:
        """What endpoints.json says now."""
        document: dict[str, Any] = json.loads((self.data / "endpoints.json").read_text())
        return document

    def remember_family(self) -> None:
        """Note all processes that it has started by now."""
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; its exit code."""
        self.remember_family()
        self.process.send_signal(number)
        return self.process.wait(timeout=40)

    def left(self) -> list[psutil.Process]:
        """Of the processes noted last, those that do not end within seconds."""
        alive: list[psutil.Process] = psutil.wait_procs(self.family, timeout=20)[1]
        return alive


Start = Callable[..., Up]


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Start]:
    """Starts local clouds; what a test leaves running ends with it."""
    started: list[Up] = []

    def start(*options: str, data: Path | None = None, root: Path = SAMPLE, wait: bool = True) -> Up:
        data = data or tmp_path / "data"
        output = tmp_path / f"up-{len(started)}.txt"
        command = [sys.executable, "-m", "localcloud", "up", "--root", str(root), "--data", str(data), *options]
        for port in ("--blob-port", "--functions-port", "--batch-port"):
            if port not in options:
                command += [port, "0"]
        errors = tmp_path / f"up-{len(started)}-errors.txt"
        with output.open("w") as out, errors.open("w") as err:
            process = subprocess.Popen(
                command, stdout=out, stderr=err, cwd=ROOT, text=True, start_new_session=True, env={**os.environ}
            )
        up = Up(process=process, data=data, output=output, errors=errors, family=[])
        started.append(up)
        if wait:
            wait_for(lambda: process.poll() is not None or "Ctrl-C" in output.read_text(), what="up is ready")
            assert process.poll() is None, output.read_text() + errors.read_text()
        return up

    yield start
    for up in started:
        if up.process.poll() is None:
            up.remember_family()
            up.process.kill()
            up.process.wait(timeout=20)
            for process in up.left():
                process.kill()
