"""A host with the sample app, as a process of its own."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.functions.keys import Keys, load_keys

ROOT = Path(__file__).parents[3]
SAMPLE = Path(__file__).parents[1] / "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningHost:
    """Where a host answers, what opens it, and what it wrote."""

    url: str
    keys: Keys
    log: Path
    process: subprocess.Popen[bytes]


Start = Callable[..., RunningHost]


@contextmanager
def _starter(folder: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start(app_root: Path = SAMPLE, **settings: str) -> RunningHost:
        log = folder / f"host-{len(started)}.log"
        keys = folder / "keys.json"
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TICK_SCHEDULE": "0 0 0 1 1 *", **settings}
        command = [*(sys.executable, "-m", "localcloud.functions", "--app-root", str(app_root), "--port", "0")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--keys", str(keys)], stdout=output, stderr=output, env=environment, cwd=app_root
            )
        started.append(process)
        deadline = time.monotonic() + 60
        while not (ready := re.search(r"^ready (http://\S+)$", log.read_text(), re.MULTILINE)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return RunningHost(url=ready.group(1), keys=load_keys(keys), log=log, process=process)

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=20)


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Start]:
    """Starts hosts; each ends with the test."""
    with _starter(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host that serves the sample app to all tests of a module."""
    with _starter(tmp_path_factory.mktemp("host")) as start:
        yield start()
