"""Uploads one image, unless the very same bytes are there already."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from darkroom.connection import gather_bounded
from darkroom.drop.selection import Chosen

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

WIDTH = 16
"""Uploads at once."""


class Done(StrEnum):
    """What became of a file."""

    UPLOADED = "uploaded"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """One file's end."""

    name: str
    done: Done
    bytes: int
    detail: str = ""


async def upload_all(container: ContainerClient, chosen: Iterable[Chosen]) -> AsyncIterator[Dropped]:
    """Each file's end, as they come. One that fails does not stop the others; a missing container does."""

    async def jobs() -> AsyncIterator[Coroutine[Any, Any, Dropped]]:
        for file in chosen:
            yield _from_disk(container, file)

    async for dropped in gather_bounded(jobs(), WIDTH):
        yield dropped


async def _from_disk(container: ContainerClient, file: Chosen) -> Dropped:
    try:
        data = await asyncio.to_thread(file.path.read_bytes)
    except OSError as error:
        return Dropped(name=file.name, done=Done.FAILED, bytes=0, detail=str(error))
    return await upload(container, file.name, data)


async def upload(container: ContainerClient, name: str, data: bytes) -> Dropped:
    """Uploads `data` as `name`. Unchanged means: same length and same Content-MD5.

    Raises what the SDK raises for a missing container, a refused or an unreachable service: then no upload can work.
    """
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError  # noqa: PLC0415 (slow to load)
    from azure.storage.blob import ContentSettings  # noqa: PLC0415 (as above)

    blob = container.get_blob_client(name)
    digest = hashlib.md5(data, usedforsecurity=False).digest()
    try:
        try:
            there = await blob.get_blob_properties()
        except ResourceNotFoundError:
            there = None
        if there is not None and there.size == len(data):
            known = there.content_settings.content_md5
            if known is not None and bytes(known) == digest:
                return Dropped(name=name, done=Done.UNCHANGED, bytes=len(data))
        settings = ContentSettings(content_type="image/jpeg", content_md5=bytearray(digest))
        await blob.upload_blob(data, overwrite=True, content_settings=settings)
    except HttpResponseError as error:
        if error.status_code in (401, 403, 404, None) or error.status_code >= 500:
            raise
        return Dropped(name=name, done=Done.FAILED, bytes=len(data), detail=error.reason or str(error))
    return Dropped(name=name, done=Done.UPLOADED, bytes=len(data))
