"""Azure Blob Storage over azure-core's pipeline: retries, tokens and transport are the SDK's, the requests are ours.

Not `azure-storage-blob` itself: its clients take more than twice the processor time for the two requests that an image
costs, and its import half a second of every task (measured: docs/performance.md). The operations used are few and
stable: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from urllib.request import getproxies
from xml.etree import ElementTree

from azure.core import AsyncPipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AsyncRetryPolicy,
    HeadersPolicy,
    SansIOHTTPPolicy,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.app_settings import StorageSettings, blob_endpoint
from shared.naming import normal_etag, quoted_etag
from worker.blobs import (
    ArchivedError,
    Blob,
    BlobMissingError,
    ConditionError,
    ContainerMissingError,
    CredentialsError,
    Piece,
    Properties,
    StorageAwayError,
)

_VERSION = "2023-11-03"
_SAFE = "/~@:!$'()*,;=&+"
"""What aiohttp leaves as it is in a path. It would turn the escapes of these back, and the signature would not fit."""
_SCOPE = "https://storage.azure.com/.default"
_PIECE = 1 << 18  # bytes handed to the socket at a time
_META = "x-ms-meta-"
_SAFE = "/~!$'()*,:@&=;"  # what the transport leaves unquoted in a path: what is signed must be what is sent
_AZURITE = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)


class _Body:
    """A request's body in pieces; each pass over it starts anew, so a retry sends it whole."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._views = [memoryview(piece) for piece in pieces]
        self.size = sum(view.nbytes for view in self._views)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for view in self._views:
            for start in range(0, view.nbytes, _PIECE):
                yield view[start : start + _PIECE]  # type: ignore[misc] # aiohttp takes views, and copies less


class _SharedKeyPolicy(SansIOHTTPPolicy[Any, Any]):
    """Signs with an account key; for Azurite on this machine only.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """

    _SIGNED = (
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    )

    def __init__(self, account: str, key: str) -> None:
        super().__init__()
        self._account = account
        self._key = base64.b64decode(key)

    def on_request(self, request: PipelineRequest[Any]) -> None:
        http = request.http_request
        http.headers["x-ms-date"] = formatdate(usegmt=True)
        headers = {name.lower(): value for name, value in http.headers.items()}
        if headers.get("content-length") == "0":
            headers["content-length"] = ""
        url = urlsplit(http.url)
        lines = [http.method, *(headers.get(name, "") for name in self._SIGNED)]
        lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
        lines.append(f"/{self._account}{url.path}")
        lines += [f"{name}:{value}" for name, value in sorted(parse_qsl(url.query, keep_blank_values=True))]
        digest = hmac.new(self._key, "\n".join(lines).encode(), hashlib.sha256).digest()
        http.headers["Authorization"] = f"SharedKey {self._account}:{base64.b64encode(digest).decode()}"


class AzureBlobs:
    """The port over an account. Made inside a running event loop; `close` when done."""

    def __init__(self, storage: StorageSettings, *, identity_client_id: str = "", retries: int = 5) -> None:
        self._endpoint = blob_endpoint(storage)
        self._credential: Any = None
        policies = [
            HeadersPolicy({"x-ms-version": _VERSION, "User-Agent": "darkroom-worker"}),
            AsyncRetryPolicy(
                retry_total=retries,
                retry_connect=retries,
                retry_read=retries,
                retry_status=retries,
                retry_backoff_max=20,
            ),
            self._authentication(storage, identity_client_id),
        ]
        # Reading proxies and .netrc costs two threads' turns a request: only where there is a proxy.
        transport = AioHttpTransport(use_env_settings=bool(getproxies()))
        self._client = AsyncPipelineClient[HttpRequest, AsyncHttpResponse](
            self._endpoint, policies=policies, transport=transport
        )

    async def get(self, container: str, name: str, *, if_match: str = "") -> Blob:
        headers = {"If-Match": quoted_etag(if_match)} if if_match else {}
        response = await self._send("GET", container, name, headers=headers)
        return Blob(data=response.content, etag=normal_etag(response.headers["ETag"]))

    async def head(self, container: str, name: str) -> Properties:
        response = await self._send("HEAD", container, name)
        metadata = {
            key.lower().removeprefix(_META): value
            for key, value in response.headers.items()
            if key.lower().startswith(_META)
        }
        return Properties(
            name=name,
            etag=normal_etag(response.headers["ETag"]),
            size=int(response.headers["Content-Length"]),
            metadata=metadata,
        )

    async def put(
        self,
        container: str,
        name: str,
        pieces: Sequence[Piece],
        *,
        content_type: str,
        metadata: Mapping[str, str],
        if_match: str = "",
    ) -> None:
        body = _Body(pieces)
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "Content-Type": content_type,
            "Content-Length": str(body.size),
            **{_META + key: value for key, value in metadata.items()},
            **({"If-Match": quoted_etag(if_match)} if if_match else {"If-None-Match": "*"}),
        }
        await self._send("PUT", container, name, headers=headers, content=body)

    async def create_log(self, container: str, name: str) -> None:
        headers = {"x-ms-blob-type": "AppendBlob", "Content-Length": "0", "If-None-Match": "*"}
        headers["Content-Type"] = "application/x-ndjson"
        await self._send("PUT", container, name, headers=headers)

    async def append(self, container: str, name: str, data: bytes) -> None:
        headers = {"Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
        await self._send("PUT", container, name, query="?comp=appendblock", headers=headers, content=_Body([data]))

    async def list(self, container: str, prefix: str) -> AsyncIterator[Properties]:
        marker = ""
        while True:
            query = f"?restype=container&comp=list&prefix={quote(prefix, safe='')}"
            query += f"&marker={quote(marker, safe='')}" if marker else ""
            response = await self._send("GET", container, "", query=query)
            page = ElementTree.fromstring(response.content)  # noqa: S314 (the account's own answer)
            for item in page.iter("Blob"):
                yield _listed(item)
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    async def close(self) -> None:
        await self._client.close()
        if self._credential is not None:
            await self._credential.close()

    def _authentication(self, storage: StorageSettings, client_id: str) -> Any:
        if storage.connection_string:
            parts = dict(part.split("=", 1) for part in storage.connection_string.split(";") if "=" in part)
            account, key = parts.get("AccountName"), parts.get("AccountKey")
            return _SharedKeyPolicy(account, key) if account and key else _SharedKeyPolicy(*_AZURITE)
        from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415 (0.2 s that only Azure has to pay)

        self._credential = ManagedIdentityCredential(client_id=client_id or None)
        return AsyncBearerTokenCredentialPolicy(self._credential, _SCOPE)

    async def _send(
        self,
        method: str,
        container: str,
        name: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        content: _Body | None = None,
    ) -> AsyncHttpResponse:
        url = f"{self._endpoint}/{container}" + (f"/{quote(name, safe=_SAFE)}" if name else "") + query
        request = HttpRequest(method, url, headers=dict(headers or {}), content=content)
        try:
            response = await self._client.send_request(request, connection_timeout=20, read_timeout=120)
        except ClientAuthenticationError as error:
            raise CredentialsError(f"no token for the storage account: {error.message}") from error
        except AzureError as error:
            raise StorageAwayError(f"{method} {container}/{name}: {error.message}") from error
        if response.status_code >= 300:
            raise _error(method, container, name, response)
        return response


def _listed(item: ElementTree.Element) -> Properties:
    name = item.find("Name")
    text = (name.text or "") if name is not None else ""
    if name is not None and name.get("Encoded") == "true":  # a name that XML 1.0 cannot hold
        text = unquote(text)
    etag, size = item.findtext("Properties/Etag") or "", item.findtext("Properties/Content-Length") or "0"
    return Properties(name=text, etag=normal_etag(etag), size=int(size), metadata={})


def _error(method: str, container: str, name: str, response: AsyncHttpResponse) -> Exception:
    """The port's error for an answer that is none. https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""
    status, code = response.status_code, response.headers.get("x-ms-error-code", "")
    what = f"{method} {container}/{name}: {status} {code}".rstrip()
    if code in ("ContainerNotFound", "ContainerBeingDeleted"):
        return ContainerMissingError(f"container {container!r} does not exist")
    if status == 404:
        return BlobMissingError(what)
    if code == "BlobArchived":
        return ArchivedError(what)
    if status == 412 or code in ("BlobAlreadyExists", "BlobIsSealed"):
        return ConditionError(what)
    if status in (401, 403):
        return CredentialsError(f"{what}: the account refused the worker's identity")
    return StorageAwayError(what, retry_after=float(response.headers.get("Retry-After", 0)) or None)
