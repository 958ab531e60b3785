"""The doors that a command goes through: storage, Batch and the function app, opened when first used.

On Azure the operator's own sign-in is used (DefaultAzureCredential: `az login`, a managed identity, …); on one machine
the keys of the local cloud. Nothing here is imported before it is needed: Azure's SDKs take most of a second to load.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from darkroom.app_door import AppDoor
from darkroom.profile import Profile, current_profile
from shared.app_settings import AppSettings

if TYPE_CHECKING:
    from azure.batch.aio import BatchClient
    from azure.storage.blob.aio import BlobServiceClient, ContainerClient

T = TypeVar("T")


class Connection:
    """Clients for one profile. Use as `async with connect(profile) as connection`."""

    def __init__(self, profile: Profile, settings: AppSettings, stack: AsyncExitStack) -> None:
        self.profile = profile
        self.settings = settings
        self.app = AppDoor(url=profile.functions_url, key=profile.functions_key, master_key=profile.master_key)
        self._stack = stack
        self._blobs: BlobServiceClient | None = None
        self._batch: BatchClient | None = None
        self._credential: Any = None

    async def blobs(self) -> BlobServiceClient:
        """The storage account."""
        if self._blobs is None:
            from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry  # noqa: PLC0415 (slow to load)

            storage = self.settings.storage
            # A person waits: the SDK's own policy tries for over a minute before it says that nobody answers.
            retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=2, random_jitter_range=1)
            if storage.connection_string:
                client = BlobServiceClient.from_connection_string(storage.connection_string, retry_policy=retry)
            else:
                client = BlobServiceClient(storage.account_url, credential=await self._signed_in(), retry_policy=retry)
            self._blobs = await self._stack.enter_async_context(client)
        return self._blobs

    async def container(self, name: str) -> ContainerClient:
        """One container of the account."""
        return (await self.blobs()).get_container_client(name)

    async def batch(self) -> BatchClient:
        """The Batch account."""
        if self._batch is None:
            from azure.batch.aio import BatchClient  # noqa: PLC0415 (slow to load)
            from azure.core.credentials import AzureNamedKeyCredential  # noqa: PLC0415 (as above)

            batch = self.settings.batch
            credential = AzureNamedKeyCredential(batch.account, batch.key) if batch.key else await self._signed_in()
            self._batch = await self._stack.enter_async_context(BatchClient(batch.endpoint, credential, retry_total=2))
        return self._batch

    async def _signed_in(self) -> Any:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 (slow, and not for one machine)

            self._credential = await self._stack.enter_async_context(DefaultAzureCredential())
        return self._credential


@asynccontextmanager
async def connect(profile: Profile) -> AsyncIterator[Connection]:
    """Opens nothing yet; closes what was opened. Raises SettingsError when the profile's settings do not hold."""
    # The SDK logs every request at INFO; a person asked for an answer, not for that.
    logging.getLogger("azure").setLevel(logging.WARNING)
    async with AsyncExitStack() as stack:
        yield Connection(profile, profile.settings(), stack)


def connected(profile_choice: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Runs `work` with a connection for the profile chosen, to its end. What a command does first."""

    async def session() -> T:
        async with connect(current_profile(profile_choice)) as connection:
            return await work(connection)

    return asyncio.run(session())


async def gather_bounded(jobs: AsyncIterator[Coroutine[Any, Any, T]], width: int) -> AsyncIterator[T]:
    """Runs jobs, at most `width` at once, and gives their results as they finish. The first error stops the rest."""
    running: set[asyncio.Task[T]] = set()
    try:
        async for job in jobs:
            running.add(asyncio.ensure_future(job))
            if len(running) >= width:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
