"""The little that the local cloud itself asks of storage: containers, a blob's properties, small reads and writes.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import aiohttp

from localcloud.azurite.sharedkey import authorization
from localcloud.eventgrid.event import Stored

_VERSION = "2021-12-02"  # any version that Azurite knows: nothing newer is used
_TIMEOUT = aiohttp.ClientTimeout(total=20)
_SAFE = "/~@:!$'()*,;=&+"  # aiohttp leaves these as they are; a path that it changed would not fit its signature
_TRIES = 2  # a connection that the server closed while it was idle is no failure of the server


class StorageAwayError(OSError):
    """The storage account did not answer, or not as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    code: str
    headers: Mapping[str, str]
    body: bytes


class Blobs:
    """The blobs of the account in `connection_string`. Make it on a running loop; close it there."""

    def __init__(self, connection_string: str) -> None:
        parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        try:
            self._account = parts["AccountName"]
            self._key = parts["AccountKey"]
            self._endpoint = parts["BlobEndpoint"].rstrip("/")
        except KeyError as error:
            raise ValueError(f"the connection string has no {error.args[0]}") from error
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT, skip_auto_headers=["Content-Type", "User-Agent"])

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def make_container(self, name: str) -> bool:
        """Make a container; False when it is there already. Raises StorageAwayError."""
        answer = await self._ask("PUT", f"/{name}", query={"restype": "container"})
        if answer.status not in (201, 409):
            raise _unexpected(answer, f"the container {name!r} could not be made")
        return answer.status == 201

    async def stored(self, container: str, blob: str) -> Stored | None:
        """The blob's ETag, length and types; None when it is gone, or is not to be had. Raises StorageAwayError."""
        answer = await self._ask("HEAD", _path(container, blob))
        if answer.status >= 500:
            raise _unexpected(answer, f"{container}/{blob} was not told")
        if answer.status != 200:
            return None  # no reason to hold up the events behind this one
        return Stored(
            etag=answer.headers.get("ETag", "").strip('"'),
            content_length=int(answer.headers.get("Content-Length", "0")),
            content_type=answer.headers.get("Content-Type", "application/octet-stream"),
            blob_type=answer.headers.get("x-ms-blob-type", "BlockBlob"),
        )

    async def put(self, container: str, name: str, body: bytes) -> None:
        """Write one block blob over whatever is there. Raises StorageAwayError."""
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/json"}
        answer = await self._ask("PUT", _path(container, name), headers=headers, body=body)
        if answer.status != 201:
            raise _unexpected(answer, f"{container}/{name} was not written")

    async def get(self, container: str, name: str) -> bytes | None:
        """A small blob's bytes; None when it is not there. Raises StorageAwayError."""
        answer = await self._ask("GET", _path(container, name))
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise _unexpected(answer, f"{container}/{name} was not read")
        return answer.body

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> _Answer:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._send(method, path, query or {}, headers or {}, body)
            except (aiohttp.ClientError, OSError) as error:
                if attempt == _TRIES:
                    raise StorageAwayError(f"{type(error).__name__}: {error}") from error
        raise StorageAwayError("not tried")

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> _Answer:
        url = self._endpoint + path
        signed = {
            **headers,
            "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-version": _VERSION,
        }
        if method == "PUT":
            signed["Content-Length"] = str(len(body))
        signed["Authorization"] = authorization(
            method, urlsplit(url).path, query, signed, account=self._account, key=self._key
        )
        target = url + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
        data = body if method == "PUT" else None
        async with self._http.request(method, target, headers=signed, data=data) as response:
            return _Answer(
                status=response.status,
                code=response.headers.get("x-ms-error-code", ""),
                headers=response.headers,
                body=await response.read(),
            )


def _path(container: str, blob: str) -> str:
    return f"/{container}/{quote(blob, safe=_SAFE)}"


def _unexpected(answer: _Answer, what: str) -> StorageAwayError:
    return StorageAwayError(f"{what}: {answer.status} {answer.code}".rstrip())
