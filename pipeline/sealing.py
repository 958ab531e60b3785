"""Sealing: inboxes become manifests, by a plan that any dispatcher can begin and any other can finish.

The protocol and why it is safe: docs/architecture.md, "Sealing, in detail"; every interleaving of it, with crashes, is
explored in tests/model/.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline import plan as plans
from pipeline.inbox import PREFIX
from pipeline.plan import Plan
from pipeline.storage import (
    BlobChangedError,
    BlobExistsError,
    BlobMissingError,
    Container,
    Listed,
    listed,
)
from shared.app_settings import PipelineSettings
from shared.arrival import Arrival, from_lines
from shared.errors import DocumentError
from shared.manifest import Manifest, to_bytes

SEALED = "sealed/"
REFUSED = "refused/"
MAX_INBOXES = 500
"""Inboxes of one plan: it must be carried out within one run of the function."""
MAX_PLAN_BYTES = 16_000_000
LINE_BYTES = 200
"""About what an arrival takes in an inbox: an inbox that may fill a manifest by itself need not get old."""

_log = logging.getLogger("darkroom.dispatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What one carried-out plan came to."""

    inboxes: int
    manifests: int
    images: int
    refused: tuple[str, ...]
    """Inboxes that this release cannot read, moved aside."""


@dataclass(kw_only=True)
class Sealing:
    """Cuts what has arrived into manifests."""

    manifests: Container
    settings: PipelineSettings
    now: Callable[[], datetime]
    new_id: Callable[[datetime], str]
    """A fresh plan id, sortable by time, at most 59 of [A-Za-z0-9_-]."""
    limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(16))

    async def step(self, *, everything: bool = False) -> Sealed | None:
        """Carries out the plan that is there, or a new one; None when there is nothing to cut yet.

        `everything`: also inboxes that could wait for more arrivals.
        """
        plan = await self._current()
        if plan is None:
            plan = await self._new(everything=everything)
        if plan is None:
            return None
        return await self._carry_out(*plan)

    async def _current(self) -> tuple[Plan, str] | None:
        try:
            stored = await self.manifests.read(plans.BLOB)
        except BlobMissingError:
            return None
        return plans.from_bytes(stored.data, where=f"{self.manifests.name}/{plans.BLOB}"), stored.etag

    async def _new(self, *, everything: bool) -> tuple[Plan, str] | None:
        ready = self._ready(await listed(self.manifests, PREFIX), everything=everything)
        if not ready:
            return None
        gone = await asyncio.gather(*(self._seal(blob.name) for blob in ready))
        names = tuple(blob.name for blob, missing in zip(ready, gone, strict=True) if not missing)
        if not names:
            return None
        now = self.now()
        plan = Plan(
            id=self.new_id(now),
            created=now.isoformat(timespec="seconds"),
            naming=self.settings.naming,
            max_images=self.settings.manifest_max_images,
            max_bytes=self.settings.manifest_max_bytes,
            max_attempts=self.settings.max_attempts,
            inboxes=names,
        )
        try:
            return plan, await self.manifests.create(plans.BLOB, plans.to_bytes(plan))
        except BlobExistsError:
            return await self._current()  # another dispatcher was first, or our own answer was lost

    def _ready(self, inboxes: Sequence[Listed], *, everything: bool) -> list[Listed]:
        """Old enough by the service's own times, or large enough; bounded in number and bytes, oldest first."""
        inboxes = sorted(inboxes, key=lambda blob: (blob.created, blob.name))
        oldest = self.now() - timedelta(seconds=self.settings.manifest_max_age)
        enough = self.settings.manifest_max_images * LINE_BYTES
        together = sum(blob.size for blob in inboxes) >= enough
        ready: list[Listed] = []
        size = 0
        for blob in inboxes:
            due = everything or together or blob.sealed or blob.created <= oldest
            if due and len(ready) < MAX_INBOXES and (not ready or size + blob.size <= MAX_PLAN_BYTES):
                ready.append(blob)
                size += blob.size
        return ready

    async def _seal(self, name: str) -> bool:
        """Seals an inbox; whether it is gone (another dispatcher's plan has ended since our listing)."""
        async with self.limit:
            try:
                await self.manifests.seal(name)
            except BlobMissingError:
                return True
            return False

    async def _carry_out(self, plan: Plan, etag: str) -> Sealed | None:
        manifests: list[Manifest] = []
        refused: list[str] = []
        if not plan.written:
            contents = await asyncio.gather(*(self._read(name) for name in plan.inboxes))
            now = await self.manifests.find(plans.BLOB)
            if now is None or now.etag != etag:
                return None  # another dispatcher has gone on: what we have read may be only a part
            arrivals, refused = self._parse(plan, contents)
            for name in refused:
                await self._move_aside(name, contents[plan.inboxes.index(name)])
            manifests = plans.cut(plan, arrivals)
            await asyncio.gather(*(self._write(manifest) for manifest in manifests))
            try:
                etag = await self.manifests.replace(
                    plans.BLOB, plans.to_bytes(dataclasses.replace(plan, written=True)), etag=etag
                )
            except BlobChangedError:
                return None  # another dispatcher has written the same manifests, and deletes
        await asyncio.gather(*(self._forget(name) for name in plan.inboxes))
        with suppress(BlobMissingError, BlobChangedError):  # gone: another dispatcher has finished the same plan
            await self.manifests.delete(plans.BLOB, etag=etag)
        return Sealed(
            inboxes=len(plan.inboxes),
            manifests=len(manifests),
            images=sum(len(manifest.entries) for manifest in manifests),
            refused=tuple(refused),
        )

    def _parse(self, plan: Plan, contents: Sequence[bytes]) -> tuple[list[Arrival], list[str]]:
        arrivals: list[Arrival] = []
        refused: list[str] = []
        for name, data in zip(plan.inboxes, contents, strict=True):
            try:
                arrivals += list(from_lines(data, where=f"{self.manifests.name}/{name}"))
            except DocumentError as error:
                _log.error("event=inbox_refused inbox=%s error=%r", name, str(error))
                refused.append(name)
        return arrivals, refused

    async def _read(self, name: str) -> bytes:
        """An inbox's content; nothing where it is gone. It went with an earlier plan, before this one was made: while a
        plan is not `written`, none of its inboxes is deleted."""
        async with self.limit:
            try:
                return (await self.manifests.read(name)).data
            except BlobMissingError:
                return b""

    async def _write(self, manifest: Manifest) -> None:
        metadata = {
            "images": str(len(manifest.entries)),
            "bytes": str(sum(entry.size for entry in manifest.entries)),
        }
        # It exists when it was written before a crash, or by another dispatcher: the same plan gives the same manifest.
        async with self.limit:
            with suppress(BlobExistsError):
                await self.manifests.create(f"{SEALED}{manifest.id}.json", to_bytes(manifest), metadata=metadata)

    async def _move_aside(self, name: str, data: bytes) -> None:
        with suppress(BlobExistsError):  # moved before a crash
            await self.manifests.create(REFUSED + name.removeprefix(PREFIX), data)

    async def _forget(self, name: str) -> None:
        """Deletes an inbox of the plan, and never one that was made anew under its name: only what is sealed goes."""
        async with self.limit:
            blob = await self.manifests.find(name)
            if blob is not None and blob.sealed:
                with suppress(BlobMissingError, BlobChangedError):
                    await self.manifests.delete(name, etag=blob.etag)
