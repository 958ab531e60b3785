"""The local Functions host as a process, with the app or one of a test's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.darkroom.places import ROOT, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A running host: where it is, and what opens it."""

    process: subprocess.Popen[bytes]
    url: str
    key: str
    master_key: str

    @property
    def environ(self) -> dict[str, str]:
        """The settings of who asks it, with an operator's key."""
        return {"DARKROOM_FUNCTIONS_URL": self.url, "DARKROOM_FUNCTIONS_KEY": self.key}

    def stop(self) -> None:
        """As a deployment or an operator stops it."""
        self.process.terminate()
        self.process.wait(timeout=20)


@contextmanager
def running_host(folder: Path, environ: Mapping[str, str], *, app: Path = ROOT) -> Iterator[Host]:
    """`python -m localcloud.functions` on a free port, with its keys and its log in `folder`."""
    keys, log = folder / "keys.json", folder / "host.log"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("STORAGE_", "BATCH_"))}
    command = [sys.executable, "-m", "localcloud.functions", "--app-root", str(app), "--port", "0"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--keys", str(keys)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=inherited | dict(environ) | {"PYTHONPATH": str(ROOT)},
        )
    try:
        until(lambda: process.poll() is not None or "ready http" in log.read_text())
        ready = re.search(r"^ready (http\S+)", log.read_text(), re.MULTILINE)
        assert ready, log.read_text()
        made = json.loads(keys.read_text())
        yield Host(process=process, url=ready.group(1), key=made["default"], master_key=made["master"])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=20)
