"""The demo's own local cloud: `python -m localcloud up` as a process, in a folder of its own, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from darkroom.profile import Profile, find_profile

_START_SECONDS = 90.0
_STOP_SECONDS = 45.0
_APP_ROOT = Path(__file__).resolve().parents[2]


class CloudError(Exception):
    """The local cloud did not start, or ended by itself. The message holds what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCloud:
    """A local cloud that is up."""

    folder: Path
    profile: Profile
    process: asyncio.subprocess.Process

    def check(self) -> None:
        """Raises CloudError when it has ended by itself."""
        if self.process.returncode is not None:
            raise CloudError(f"the local cloud ended ({self.process.returncode}):\n{said(self.folder)}")


def said(folder: Path) -> str:
    """What the local cloud wrote on its screen."""
    return (folder / "up.txt").read_text(encoding="utf-8", errors="replace").strip()


@asynccontextmanager
async def local_cloud(folder: Path, *, speed: float, settings: Mapping[str, str]) -> AsyncIterator[RunningCloud]:
    """Start one, and stop it at the end whatever happened. `settings` are the app's, beside infra/local.json."""
    options = ["--data", str(folder / "data"), "--speed", f"{speed:g}", "--host", "localcloud"]
    ports = [word for port in ("--blob-port", "--functions-port", "--batch-port") for word in (port, "0")]
    with (folder / "up.txt").open("wb") as screen:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "localcloud", "--leashed", "up", *options, *ports),
            stdin=asyncio.subprocess.PIPE,  # its end tells the cloud that we are gone
            stdout=screen,
            stderr=screen,
            cwd=_APP_ROOT,
            env={**_clean_environment(), **settings},
            start_new_session=True,  # Ctrl-C reaches us; we stop it
        )
    try:
        profile = await _ready(process, folder)
        yield RunningCloud(folder=folder, profile=profile, process=process)
    finally:
        await _stop(process)


def _clean_environment() -> dict[str, str]:
    """Ours without settings of another deployment, which would win over the demo's."""
    foreign = ("STORAGE_", "BATCH_", "POOL_", "EVENTGRID_", "DARKROOM_", "MANIFEST_", "AzureWebJobs")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


async def _ready(process: asyncio.subprocess.Process, folder: Path) -> Profile:
    endpoints = folder / "data" / "endpoints.json"
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not endpoints.exists():
                if process.returncode is not None:
                    raise CloudError(f"the local cloud did not start:\n{said(folder)}")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise CloudError(f"the local cloud was not ready in {_START_SECONDS:g} s:\n{said(folder)}") from None
    return find_profile(str(endpoints), {}, folder)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    if process.stdin is not None:
        process.stdin.close()
