"""How long a person waits for a status and for the page, with 100,000 images in the containers.

    python -m benchmarks.status [--images 100000] [--rounds 7]

Fills a real Azurite (in memory) with images, PNGs for 95 of 100 of them and a system in the middle of its work
(benchmarks/population.py). Then each round starts the function app anew in the local Functions host, so that nothing
is remembered, and asks: `darkroom status --json` as a process, through the app and without it; `/api/status`; and what
a page asks first. Prints median and slowest seconds, and the storage requests of one answer as Azurite saw them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.azurite import Azurite
from benchmarks.filling import filler
from benchmarks.host import NO_BATCH, QUIET, ROOT, Host, host
from benchmarks.population import populate, run_stages
from benchmarks.table import Table
from darkroom.app_door import AppDoor
from pipeline.clients import open_app

PATHS = {
    "/api/status": "/api/status",
    "page: data": "/api/dashboard/data",
    "page: series": "/api/dashboard/series?minutes=60",
    "page: quarantine": "/api/dashboard/quarantine",
}
COMMAND, COMMAND_ALONE = "darkroom status --json", "the same, without the app"


@dataclass(slots=True, kw_only=True)
class Answers:
    """What one question took, round by round."""

    seconds: list[float] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    """Of the last round."""


def main(arguments: list[str] | None = None) -> None:
    """Fills, asks, prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.status")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Azurite(ROOT / "node_modules", log=folder / "requests.log") as azurite:
            environ = {"STORAGE_CONNECTION_STRING": azurite.connection_string, **NO_BATCH, **QUIET}
            began = time.perf_counter()
            asyncio.run(_fill(azurite.endpoint, environ, options.images))
            print(f"filled {options.images} images in {time.perf_counter() - began:.0f} s", flush=True)
            answers: dict[str, Answers] = {}
            for _ in range(options.rounds):
                asyncio.run(_round(azurite, environ, folder, answers))
    print(_table(answers).text())


async def _fill(endpoint: str, environ: dict[str, str], images: int) -> None:
    async with filler(endpoint) as filling:
        await filling.containers()
        async with open_app(environ) as app:
            await populate(app)  # first: the SDK is slower, and what is there already slows Azurite down
        await filling.images(images, missing=images // 20)


async def _round(azurite: Azurite, environ: dict[str, str], folder: Path, answers: dict[str, Answers]) -> None:
    """Every question to a function app that was just started: it remembers nothing."""
    async with open_app(environ) as app:
        await run_stages(app)
    for what, path in PATHS.items():
        async with host(environ, folder) as running:
            _ask(running, "/api/dashboard/page")  # the app is loaded; its clients are not open yet
            _measure(azurite, answers, what, partial(_ask, running, path))
    async with host(environ, folder) as running:
        _ask(running, "/api/dashboard/page")
        reached = {"DARKROOM_FUNCTIONS_URL": running.url, "DARKROOM_FUNCTIONS_KEY": running.default_key}
        _measure(azurite, answers, COMMAND, lambda: _command(environ | reached))
    _measure(azurite, answers, COMMAND_ALONE, lambda: _command(environ))


def _measure(azurite: Azurite, answers: dict[str, Answers], what: str, ask: Callable[[], None]) -> None:
    mark, began = azurite.mark(), time.perf_counter()
    ask()
    taken = time.perf_counter() - began
    one = answers.setdefault(what, Answers())
    one.seconds.append(taken)
    one.requests = azurite.requests(mark)


def _ask(running: Host, path: str) -> None:
    answer = AppDoor(url=running.url, key=running.default_key).call(path, timeout=60)
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {answer.body[:500]!r}")


def _command(environ: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "darkroom", "status", "--json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )


def _table(answers: dict[str, Answers]) -> Table:
    table = Table(["question", "median s", "slowest s", "storage requests"])
    for what, one in answers.items():
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(one.requests.items()))
        median = statistics.median(one.seconds)
        table.add(what, f"{median:.2f}", f"{max(one.seconds):.2f}", f"{one.requests.total()}: {kinds}")
    return table


if __name__ == "__main__":
    main()
