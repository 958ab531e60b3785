"""An account as its users see it: through the official SDK, not through the worker's own client."""

from __future__ import annotations

import os
from dataclasses import dataclass

from azure.storage.blob.aio import BlobServiceClient

from shared.app_settings import StorageSettings
from shared.manifest import Entry, Manifest, to_bytes
from shared.naming import Naming, normal_etag
from shared.outcome import Outcome, from_lines

NAME = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    service: BlobServiceClient
    settings: StorageSettings

    async def upload(self, container: str, name: str, data: bytes) -> str:
        """Writes a blob over whatever is there; its ETag, bare."""
        client = self.service.get_blob_client(container, name)
        answer = await client.upload_blob(data, overwrite=True)
        return normal_etag(answer["etag"])

    async def drop(self, name: str, data: bytes) -> Entry:
        """A user drops an image."""
        etag = await self.upload(self.settings.images, name, data)
        return Entry(name=name, etag=etag, size=len(data))

    async def download(self, container: str, name: str) -> bytes:
        stream = await self.service.get_blob_client(container, name).download_blob()
        return await stream.readall()

    async def names(self, container: str) -> list[str]:
        return [name async for name in self.service.get_container_client(container).list_blob_names()]

    async def seal(self, id_: str, entries: list[Entry], naming: Naming = Naming.REPLACE) -> None:
        """A manifest, as dispatch writes it."""
        manifest = Manifest(id=id_, created="2026-01-01T00:00:00Z", naming=naming, entries=tuple(entries))
        await self.upload(self.settings.manifests, f"sealed/{id_}.json", to_bytes(manifest))

    async def outcomes(self, id_: str) -> list[list[Outcome]]:
        """The outcomes of a manifest, by run."""
        runs = [name for name in await self.names(self.settings.outcomes) if name.startswith(f"{id_}/")]
        return [
            list(from_lines(await self.download(self.settings.outcomes, name), where=name).outcomes) for name in runs
        ]

    def environ(self, manifest: str = "") -> dict[str, str]:
        """The environment of a task."""
        settings = self.settings
        task = {
            "STORAGE_CONNECTION_STRING": settings.connection_string,
            "IMAGES_CONTAINER": settings.images,
            "CONVERTED_CONTAINER": settings.converted,
            "MANIFESTS_CONTAINER": settings.manifests,
            "OUTCOMES_CONTAINER": settings.outcomes,
            **({"DARKROOM_MANIFEST": f"sealed/{manifest}.json"} if manifest else {}),
        }
        return {"PATH": os.environ["PATH"], **task}
