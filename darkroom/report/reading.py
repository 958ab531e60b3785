"""Reads outcome blobs, newest state of the container first listed, a bounded number at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from darkroom.connection import gather_bounded
from shared.outcome import Outcome, from_lines

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeBlob:
    """What one run of a task did."""

    manifest: str
    run: str
    outcomes: tuple[Outcome, ...]
    torn: int


async def read_outcomes(
    container: ContainerClient, *, since: datetime, manifest: str = ""
) -> AsyncIterator[OutcomeBlob]:
    """The outcome blobs written since then (of one manifest, where given), as they come in."""

    async def jobs() -> AsyncIterator[Coroutine[Any, Any, OutcomeBlob | None]]:
        async for blob in container.list_blobs(name_starts_with=f"{manifest}/" if manifest else None):
            if blob.last_modified >= since:
                yield _read(container, blob.name)

    async for found in gather_bounded(jobs(), 8):
        if found is not None:
            yield found


async def _read(container: ContainerClient, name: str) -> OutcomeBlob | None:
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    manifest, _, run = name.partition("/")
    for _ in range(5):
        try:
            stream = await container.download_blob(name)
            lines = from_lines(await stream.readall(), where=f"{container.container_name}/{name}")
        except ResourceNotFoundError:
            return None  # pruned since it was listed
        except ResourceModifiedError:
            continue  # it grew while it was read in several ranges
        return OutcomeBlob(manifest=manifest, run=run.removesuffix(".jsonl"), outcomes=lines.outcomes, torn=lines.torn)
    return None
