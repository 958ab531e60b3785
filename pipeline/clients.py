"""Opens the application on the real services: one credential, one storage client, one Batch client a process.

On Azure by identity (DefaultAzureCredential: the app's managed identity, or who is signed in); on one machine with the
keys of its local services, which settings accept for loopback only.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from azure.batch.aio import BatchClient
from azure.core.credentials import AzureKeyCredential, AzureNamedKeyCredential
from azure.eventgrid.aio import EventGridPublisherClient
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

from pipeline.app import App
from pipeline.azure_batch import AzureBatch
from pipeline.azure_storage import AzureContainer
from pipeline.clock import ServiceClock
from pipeline.completed import TopicPublisher
from pipeline.task_form import TaskForm
from shared.app_settings import AppSettings, read_app_settings

BATCH_RETRIES = 3


async def connect(environ: Mapping[str, str], stack: AsyncExitStack) -> App:
    """The application; its clients close with the stack. Raises SettingsError."""
    logging.getLogger("azure").setLevel(logging.WARNING)
    settings = read_app_settings(environ)
    credential = await _credential(settings, stack)
    blobs = await stack.enter_async_context(_blobs(settings, credential))
    clock = ServiceClock()

    def container(name: str) -> AzureContainer:
        return AzureContainer(blobs.get_container_client(name), served=clock.observe)

    storage, batch = settings.storage, settings.batch
    client = BatchClient(
        batch.endpoint,
        AzureNamedKeyCredential(batch.account, batch.key) if batch.key else credential,
        retry_total=BATCH_RETRIES,
    )
    await stack.enter_async_context(client)
    return App(
        settings=settings,
        images=container(storage.images),
        converted=container(storage.converted),
        manifests=container(storage.manifests),
        outcomes=container(storage.outcomes),
        quarantine_container=container(storage.quarantine),
        batch=AzureBatch(
            client,
            pool_id=batch.pool_id,
            settings=settings.pool,
            form=TaskForm(settings=settings, environ=environ),
        ),
        now=clock.now,
        publisher=await _publisher(settings, credential, stack),
    )


@asynccontextmanager
async def open_app(environ: Mapping[str, str]) -> AsyncIterator[App]:
    """For programs that end: the application, closed at the end of the block."""
    async with AsyncExitStack() as stack:
        yield await connect(environ, stack)


async def _credential(settings: AppSettings, stack: AsyncExitStack) -> Any:
    if settings.storage.connection_string and settings.batch.key:
        return None  # one machine: nothing asks for an identity
    return await stack.enter_async_context(DefaultAzureCredential())


def _blobs(settings: AppSettings, credential: Any) -> BlobServiceClient:
    # The SDK's own policy waits 15 s before its first retry: an event would be late by then.
    options: dict[str, Any] = {
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=3, random_jitter_range=1),
        "use_env_settings": False,
    }
    if settings.storage.connection_string:
        return BlobServiceClient.from_connection_string(settings.storage.connection_string, **options)
    return BlobServiceClient(settings.storage.account_url, credential=credential, **options)


async def _publisher(settings: AppSettings, credential: Any, stack: AsyncExitStack) -> TopicPublisher | None:
    endpoint, key = settings.pipeline.topic_endpoint, settings.pipeline.topic_key
    if not endpoint:
        return None
    client = EventGridPublisherClient(endpoint, AzureKeyCredential(key) if key else credential)
    return TopicPublisher(await stack.enter_async_context(client))
