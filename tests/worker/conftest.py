"""Storage for the worker's tests: one contract, in memory and on a real Azurite."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from azure.storage.blob.aio import BlobServiceClient

from shared.app_settings import StorageSettings
from tests.worker.account import KEY, NAME, Account


@pytest.fixture
async def account(azurite_port: int) -> AsyncIterator[Account]:
    """Containers of a test's own in the real Azurite, seen through the official SDK."""
    mark = uuid.uuid4().hex[:8]
    endpoint = f"http://127.0.0.1:{azurite_port}/{NAME}"
    settings = StorageSettings(
        connection_string=f"DefaultEndpointsProtocol=http;AccountName={NAME};AccountKey={KEY};BlobEndpoint={endpoint};",
        images=f"images-{mark}",
        converted=f"converted-{mark}",
        manifests=f"manifests-{mark}",
        outcomes=f"outcomes-{mark}",
    )
    async with BlobServiceClient.from_connection_string(settings.connection_string) as service:
        for name in (settings.images, settings.converted, settings.manifests, settings.outcomes):
            await service.create_container(name)
        yield Account(service=service, settings=settings)
        for name in (settings.images, settings.converted, settings.manifests, settings.outcomes):
            await service.delete_container(name)
