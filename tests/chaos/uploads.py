"""A user who drops, replaces and deletes images, straight into storage, and insists until each is written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from tests.chaos.corpus import Picture, bad, good
from tests.chaos.truth import Truth, Version

T = TypeVar("T")
_PATIENCE = 180.0  # seconds; Azurite is down for a few of them now and then, for many on a busy machine


class Uploader:
    """Writes the images of one round, one after another, spread over `seconds`."""

    def __init__(
        self,
        container: ContainerClient,
        *,
        truth: Truth,
        rng: random.Random,
        announce: Callable[[Version], None],
        bad_share: float = 0.08,
    ) -> None:
        self._container = container
        self._truth = truth
        self._rng = rng
        self._announce = announce
        self._bad_share = bad_share
        self._written = 0

    async def run(self, names: list[str], *, seconds: float) -> None:
        """All names once; beside that every third step replaces, deletes or re-creates one that was there."""
        pause = seconds / max(1, len(names))
        for name in names:
            await self.upload(name)
            if self._rng.random() < 0.35:
                await self._disturb()
            await asyncio.sleep(pause * self._rng.uniform(0, 2))

    async def upload(self, name: str) -> None:
        """A new version of `name`."""
        picture = bad(self._rng) if self._rng.random() < self._bad_share else good(self._rng)
        answer = await insist(lambda: self._put(name, picture))
        self._written += 1
        version = Version(
            name=name,
            etag=answer["etag"].strip('"'),
            size=len(picture.data),
            written=answer["last_modified"].strftime("%Y-%m-%dT%H:%M:%S.") + f"{self._written:07d}Z",
            sequencer=f"{self._written:040X}",
            picture=picture,
        )
        self._truth.wrote(version)
        self._announce(version)

    async def delete(self, name: str) -> None:
        """Removes `name`."""

        async def remove() -> None:
            try:
                await self._container.delete_blob(name)
            except ResourceNotFoundError:
                return  # an attempt before this one took effect

        await insist(remove)
        self._truth.removed(name)

    async def _put(self, name: str, picture: Picture) -> dict[str, Any]:
        client = self._container.get_blob_client(name)
        return await client.upload_blob(picture.data, overwrite=True)

    async def _disturb(self) -> None:
        there, gone = sorted(self._truth.latest), sorted(self._truth.deleted)
        what = self._rng.random()
        if what < 0.55:
            await self.upload(self._rng.choice(there))
        elif what < 0.8 or not gone:
            await self.delete(self._rng.choice(there))
        else:
            await self.upload(self._rng.choice(gone))


async def insist(action: Callable[[], Awaitable[T]]) -> T:
    """The action's result, tried again while storage is away, for three minutes at most."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                return await action()
            except AzureError:
                await asyncio.sleep(0.3)
