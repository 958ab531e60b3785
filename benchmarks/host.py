"""The function app in the local Functions host, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEVER = "0 0 0 1 1 *"
QUIET = dict.fromkeys(("DISPATCH_SCHEDULE", "COLLECT_SCHEDULE", "SWEEP_SCHEDULE"), NEVER)
"""Timers that keep out of the way."""
NO_BATCH = {"BATCH_ENDPOINT": "http://127.0.0.1:9", "BATCH_ACCOUNT": "nobody", "BATCH_KEY": "a2V5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a host answers."""

    url: str
    default_key: str
    event_grid_key: str


@asynccontextmanager
async def host(environ: Mapping[str, str], folder: Path) -> AsyncIterator[Host]:
    """Starts it, waits until it is ready, ends it with the block."""
    keys = folder / "keys.json"
    options = ["--app-root", str(ROOT), "--port", "0", "--keys", str(keys)]
    log = folder / "host.log"
    with log.open("w") as out:  # a pipe that nobody empties would stop the host
        process = subprocess.Popen(  # noqa: ASYNC220 (once, before anything else runs)
            [sys.executable, "-m", "localcloud.functions", *options],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            env={"PATH": os.environ["PATH"], **environ},
        )
    try:
        while not (ready := re.search(r"^ready (\S+)", log.read_text(), re.MULTILINE)):
            if process.poll() is not None:
                raise SystemExit(f"the host did not start:\n{log.read_text()}")
            await asyncio.sleep(0.05)
        known = json.loads(keys.read_text())
        yield Host(url=ready.group(1), default_key=known["default"], event_grid_key=known["event_grid"])
    finally:
        process.terminate()
        process.wait(timeout=30)
