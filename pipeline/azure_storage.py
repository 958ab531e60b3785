"""The real `Container`: azure-storage-blob's asynchronous client, with its errors told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.storage.blob import BlobType
from azure.storage.blob.aio import ContainerClient

from pipeline.storage import (
    AccessDeniedError,
    BlobChangedError,
    BlobExistsError,
    BlobMissingError,
    BlobSealedError,
    Listed,
    Page,
    StorageError,
    StorageUnavailableError,
    Stored,
)
from shared.naming import normal_etag, quoted_etag

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
# 409 means several things, so the code decides.
_BY_CODE: dict[str, type[StorageError]] = {
    "BlobNotFound": BlobMissingError,
    "ResourceNotFound": BlobMissingError,
    "BlobAlreadyExists": BlobExistsError,
    "ConditionNotMet": BlobChangedError,
    "TargetConditionNotMet": BlobChangedError,
    "BlobIsSealed": BlobSealedError,
    "BlockCountExceedsLimit": BlobSealedError,
    "AppendPositionConditionNotMet": BlobSealedError,
    "MaxBlobSizeConditionNotMet": BlobSealedError,
}


class AzureContainer:
    """One container of the storage account (or of Azurite)."""

    def __init__(self, client: ContainerClient, *, served: Callable[[datetime], None] | None = None) -> None:
        """`served` is told the service's time at each page of a listing."""
        self._client = client
        self._served = served
        self.name = str(client.container_name)

    async def create_append(self, name: str) -> None:
        with self._errors("create", name):
            # Without the condition an existing append blob would be emptied without a word.
            await self._client.get_blob_client(name).create_append_blob(match_condition=MatchConditions.IfMissing)

    async def append(self, name: str, data: bytes) -> None:
        with self._errors("append to", name):
            await self._client.get_blob_client(name).append_block(data, length=len(data))

    async def seal(self, name: str) -> None:
        try:
            with self._errors("seal", name):
                await self._client.get_blob_client(name).seal_append_blob()
        except BlobSealedError:
            return  # sealed already is what was asked for

    async def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        return await self._upload(name, data, metadata, {"overwrite": False})

    async def replace(
        self, name: str, data: bytes, *, etag: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        condition: dict[str, Any] = {"overwrite": True}
        if etag is not None:
            condition |= {"etag": quoted_etag(etag), "match_condition": MatchConditions.IfNotModified}
        return await self._upload(name, data, metadata, condition)

    async def read(self, name: str, *, last: int | None = None) -> Stored:
        with self._errors("read", name):
            blob = self._client.get_blob_client(name)
            offset = None
            if last is not None:
                size = (await blob.get_blob_properties()).size
                offset = max(0, size - last) if size else None
            stream = await blob.download_blob(offset=offset)
            data = await stream.readall()
            properties = stream.properties
            return Stored(data=bytes(data), etag=normal_etag(properties.etag), metadata=dict(properties.metadata or {}))

    async def find(self, name: str) -> Listed | None:
        try:
            with self._errors("look at", name):
                properties = await self._client.get_blob_client(name).get_blob_properties()
        except BlobMissingError:
            return None
        return _listed(properties)

    async def set_metadata(self, name: str, metadata: Mapping[str, str], *, etag: str) -> str:
        with self._errors("set metadata of", name):
            answer = await self._client.get_blob_client(name).set_blob_metadata(
                dict(metadata), etag=quoted_etag(etag), match_condition=MatchConditions.IfNotModified
            )
            return normal_etag(str(answer["etag"]))

    async def delete(self, name: str, *, etag: str | None = None) -> None:
        condition: dict[str, Any] = {}
        if etag is not None:
            condition = {"etag": quoted_etag(etag), "match_condition": MatchConditions.IfNotModified}
        with self._errors("delete", name):
            await self._client.get_blob_client(name).delete_blob(**condition)

    async def pages(
        self, prefix: str = "", *, metadata: bool = False, marker: str = "", size: int | None = None
    ) -> AsyncIterator[Page]:
        dates: list[datetime] = []

        def note_date(response: Any) -> None:
            header = response.http_response.headers.get("Date")
            if header:
                dates.append(parsedate_to_datetime(header))
                if self._served is not None:
                    self._served(dates[-1])

        # by_page() gives an iterator that also knows its continuation token; its annotation does not say so.
        pages: Any = self._client.list_blobs(
            name_starts_with=prefix or None,
            include=["metadata"] if metadata else None,
            results_per_page=size,
            raw_response_hook=note_date,
        ).by_page(marker or None)
        while True:
            with self._errors("list", prefix):
                try:
                    page = await anext(pages)
                except StopAsyncIteration:
                    return
                blobs = [_listed(blob) async for blob in page]
            yield Page(blobs=blobs, marker=pages.continuation_token or "", served=dates[-1] if dates else None)

    async def _upload(
        self, name: str, data: bytes, metadata: Mapping[str, str] | None, condition: Mapping[str, Any]
    ) -> str:
        with self._errors("write", name):
            answer = await self._client.get_blob_client(name).upload_blob(
                data,
                length=len(data),
                blob_type=BlobType.BLOCKBLOB,
                metadata=dict(metadata) if metadata else None,
                **condition,
            )
            return normal_etag(str(answer["etag"]))

    @contextmanager
    def _errors(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except HttpResponseError as error:
            raise self._translated(error, verb, name) from error
        except AzureError as error:
            raise StorageUnavailableError(
                f"storage did not answer: could not {verb} {self.name}/{name}: {error}"
            ) from error

    def _translated(self, error: HttpResponseError, verb: str, name: str) -> StorageError:
        code = str(getattr(error, "error_code", "") or "")
        status = error.status_code or 0
        message = f"could not {verb} {self.name}/{name}: {status} {code or error.reason}"
        known = _BY_CODE.get(code)
        if known is not None:
            return known(message)
        if code == "ContainerNotFound":
            return StorageUnavailableError(f"{message}: the container {self.name!r} does not exist; deploy creates it")
        if isinstance(error, ClientAuthenticationError) or status in (401, 403):
            return AccessDeniedError(f"{message}: the identity lacks a role on container {self.name!r}")
        if status == 404:  # a HEAD has no body, and so no code
            return BlobMissingError(message)
        if status == 412:
            return BlobChangedError(message)
        return StorageUnavailableError(message, retry_after=_retry_after(error))


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return None


def _listed(properties: Any) -> Listed:
    return Listed(
        name=properties.name,
        etag=normal_etag(properties.etag),
        size=properties.size or 0,
        created=_utc(properties.creation_time),
        modified=_utc(properties.last_modified),
        metadata=dict(properties.metadata or {}),
        sealed=bool(getattr(properties, "is_append_blob_sealed", False)),
    )


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
