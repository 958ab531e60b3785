"""Downloads PNGs in parallel. Stopped and started again, it goes on where it was: a file that has the blob's length and
time is not fetched again, and a file appears under its name only when it is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.connection import gather_bounded
from darkroom.fetch.target import target

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

WIDTH = 16


class Got(StrEnum):
    """What became of a PNG."""

    FETCHED = "fetched"
    THERE = "there"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One PNG's end."""

    name: str
    got: Got
    bytes: int = 0
    detail: str = ""


async def fetch_all(
    container: ContainerClient, folder: Path, prefix: str, *, listed: Callable[[], None]
) -> AsyncIterator[Fetched]:
    """Each PNG's end, as they come. `listed` is called for each one found."""

    async def jobs() -> AsyncIterator[Coroutine[Any, Any, Fetched]]:
        async for blob in container.list_blobs(name_starts_with=prefix or None):
            listed()
            yield _fetch(container, folder, blob.name, blob.size, blob.last_modified)

    async for end in gather_bounded(jobs(), WIDTH):
        yield end


async def _fetch(container: ContainerClient, folder: Path, name: str, size: int, modified: datetime) -> Fetched:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    path = target(folder, name, windows=sys.platform == "win32")
    if path is None:
        return Fetched(name=name, got=Got.FAILED, detail="no file can have this name here")
    if _there(path, size, modified):
        return Fetched(name=name, got=Got.THERE)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = await container.download_blob(name)
        with part.open("wb") as file:
            count = await stream.readinto(file)
        # The version that was downloaded may be newer than the listing.
        written = stream.properties.last_modified.timestamp()
        os.utime(part, (written, written))
        part.replace(path)
    except ResourceNotFoundError:
        part.unlink(missing_ok=True)
        return Fetched(name=name, got=Got.FAILED, detail="deleted since it was listed")
    except OSError as error:
        return Fetched(name=name, got=Got.FAILED, detail=str(error))
    return Fetched(name=name, got=Got.FETCHED, bytes=count)


def _there(path: Path, size: int, modified: datetime) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    # Two seconds: the coarsest clock of a file system in use (FAT).
    return found.st_size == size and abs(found.st_mtime - modified.timestamp()) < 2
