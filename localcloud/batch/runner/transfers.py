"""Resource files onto the node and output files off it, over the Blob REST API.

A URL carries its own right to be read (SAS or public). Where it carries none and the blob belongs to an account whose
key this machine knows (Azurite's), the request is signed with that key: that stands for a managed identity here.
"""

import base64
import hashlib
import hmac
import mimetypes
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from xml.etree import ElementTree as ET

import aiohttp

from localcloud.batch import layout
from localcloud.batch.core.effects import Failure
from localcloud.batch.core.specs import OutputFile, ResourceFile

_VERSION = "2021-12-02"
_CHUNK = 1 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)


class TransferError(Exception):
    """A file could not be moved; `failure` is what the task shows."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Transfers:
    """Moves files. `keys`: storage account to base64 key; `auto_storage`: the URL of the auto-storage account."""

    def __init__(self, *, keys: Mapping[str, str], auto_storage: str | None = None) -> None:
        self._keys = keys
        self._auto_storage = auto_storage
        self._session: aiohttp.ClientSession | None = None

    async def download(self, resource: ResourceFile, working: Path) -> None:
        """Raises TransferError."""
        try:
            if resource.http_url is not None:
                await self._fetch(resource.http_url, working, resource.file_path or "", resource.file_mode)
                return
            container = resource.container_url or self._container(resource.auto_storage_container or "")
            for name in await self._list(container, resource.blob_prefix):
                path = f"{resource.file_path}/{name}" if resource.file_path else name
                await self._fetch(_blob_url(container, name), working, path, resource.file_mode)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _download_error("BlobDownloadMiscError", resource.http_url or "", str(error)) from error

    def _container(self, name: str) -> str:
        if self._auto_storage is None:
            raise _download_error(
                "BlobAccessDenied",
                name,
                "The account has no auto-storage account: start the service with --auto-storage",
            )
        return f"{self._auto_storage.rstrip('/')}/{name}"

    async def _fetch(self, url: str, working: Path, path: str, mode: str | None) -> None:
        if not path or not layout.is_inside(path):
            raise _download_error("ResourceFileCreateFailed", path, "The file path leaves the working directory")
        target = working / path
        target.parent.mkdir(parents=True, exist_ok=True)
        async with self._http().get(url, headers=self._headers("GET", url)) as response:
            _check_download(response.status, url)
            with target.open("wb") as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    file.write(chunk)
        if mode is not None:
            target.chmod(int(mode, 8) & 0o7777)

    async def _list(self, container: str, prefix: str) -> list[str]:
        names: list[str] = []
        marker = ""
        while True:
            query = {"restype": "container", "comp": "list", "prefix": prefix, "marker": marker}
            url = _with_query(container, {k: v for k, v in query.items() if v})
            async with self._http().get(url, headers=self._headers("GET", url)) as response:
                _check_download(response.status, url)
                tree = ET.fromstring(await response.text(encoding="utf-8-sig"))  # noqa: S314 - our own storage's answer
            names += [name.text for name in tree.iterfind("./Blobs/Blob/Name") if name.text]
            marker = tree.findtext("NextMarker") or ""
            if not marker:
                return names

    async def upload(self, output: OutputFile, working: Path) -> None:
        """Upload what matches the pattern (relative to the working directory). Raises TransferError."""
        files = matching(working, output.pattern)
        wild = any(c in output.pattern for c in "*?[")
        try:
            for file in files:
                if output.path is None:
                    name = _inside_name(file, working) if wild else file.name
                elif wild:
                    name = f"{output.path.rstrip('/')}/{_inside_name(file, working)}"
                else:
                    name = output.path
                await self._put(_blob_url(output.container_url, name), file, output)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _upload_error("FileUploadMiscError", output, str(error)) from error

    async def _put(self, url: str, file: Path, output: OutputFile) -> None:
        size = file.stat().st_size  # noqa: ASYNC240 - a stat of a local file
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        extra = {"x-ms-blob-type": "BlockBlob", "Content-Type": kind, "Content-Length": str(size)}
        extra |= {name.lower(): value for name, value in output.headers}
        with file.open("rb") as body:
            async with self._http().put(
                url, data=body if size else b"", headers=self._headers("PUT", url, extra)
            ) as response:
                if response.status == 404:
                    raise _upload_error("FileUploadContainerNotFound", output, url)
                if response.status in (401, 403):
                    raise _upload_error("FileUploadAccessDenied", output, url)
                if response.status >= 300:
                    raise _upload_error("FileUploadMiscError", output, f"HTTP {response.status}")

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        return self._session

    def _headers(self, method: str, url: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        headers = dict(extra or {})
        parts = urlsplit(url)
        account = _account_of(url)
        if "sig=" in parts.query or account not in self._keys:
            return headers
        headers["x-ms-date"] = format_datetime(datetime.now(UTC), usegmt=True)
        headers["x-ms-version"] = _VERSION
        signature = _sign(method, url, headers, account, self._keys[account])
        headers["Authorization"] = f"SharedKey {account}:{signature}"
        return headers

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def matching(working: Path, pattern: str) -> list[Path]:
    """Files that a Batch filePattern names: `*` within a directory, `**` across; relative to the working directory."""
    base = working
    while pattern.startswith("../"):
        base, pattern = base.parent, pattern[3:]
    if not any(c in pattern for c in "*?["):
        file = base / pattern
        return [file] if file.is_file() else []
    expression = re.compile(_glob_expression(pattern))
    files = (p for p in base.rglob("*") if p.is_file())
    return sorted(p for p in files if expression.fullmatch(p.relative_to(base).as_posix()))


def _glob_expression(pattern: str) -> str:
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 2
        elif pattern[at] == "*":
            out, at = out + "[^/]*", at + 1
        elif pattern[at] == "?":
            out, at = out + "[^/]", at + 1
        elif pattern[at] == "[" and "]" in pattern[at + 1 :]:
            end = pattern.index("]", at + 1)
            inner = pattern[at + 1 : end].replace("\\", "\\\\")
            out, at = out + f"[{'^' + inner[1:] if inner.startswith('!') else inner}]", end + 1
        else:
            out, at = out + re.escape(pattern[at]), at + 1
    return out


def _inside_name(file: Path, working: Path) -> str:
    try:
        return file.relative_to(working).as_posix()
    except ValueError:
        return PurePosixPath(file).name


def _blob_url(container_url: str, name: str) -> str:
    parts = urlsplit(container_url)
    return urlunsplit((*parts[:2], f"{parts.path.rstrip('/')}/{quote(name)}", parts.query, ""))


def _with_query(url: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    joined = "&".join(part for part in (parts.query, urlencode(query)) if part)
    return urlunsplit((*parts[:3], joined, ""))


def _account_of(url: str) -> str:
    """`devstoreaccount1` of `http://127.0.0.1:10000/devstoreaccount1/...`, else the first label of the host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if re.fullmatch(r"[\d.]+|localhost|\[?[0-9a-f:]+\]?", host):
        return parts.path.lstrip("/").split("/", 1)[0]
    return host.split(".", 1)[0]


def _sign(method: str, url: str, headers: Mapping[str, str], account: str, key: str) -> str:
    """SharedKey of the Blob service. https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
    given = {name.lower(): value for name, value in headers.items()}
    length = given.get("content-length", "")
    standard = [
        method,
        "",
        "",
        "" if length == "0" else length,
        "",
        given.get("content-type", ""),
        "",
        "",
        "",
        "",
        "",
        "",
    ]
    extensions = sorted(f"{name}:{value}" for name, value in given.items() if name.startswith("x-ms-"))
    parts = urlsplit(url)
    resource = f"/{account}{parts.path}"
    for name, value in sorted(parse_qsl(parts.query)):
        resource += f"\n{name.lower()}:{value}"
    text = "\n".join([*standard, *extensions, resource])
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _check_download(status: int, url: str) -> None:
    if status == 404:
        raise _download_error("BlobNotFound", url, "The blob or container does not exist")
    if status in (401, 403, 409):
        raise _download_error("BlobAccessDenied", url, f"HTTP {status}")
    if status >= 300:
        raise _download_error("BlobDownloadMiscError", url, f"HTTP {status}")


_DOWNLOAD_MESSAGES = {
    "BlobNotFound": "One of the specified Azure Blob(s) is not found",
    "BlobAccessDenied": "Access for one of the specified Azure Blob(s) is denied",
    "BlobDownloadMiscError": "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)",
    "ResourceFileCreateFailed": "Failure encountered creating resource file",
}
_UPLOAD_MESSAGES = {
    "FileUploadContainerNotFound": "The container for the output file is not found",
    "FileUploadAccessDenied": "Access for uploading the output file is denied",
    "FileUploadMiscError": "Miscellaneous error encountered while uploading an output file",
}


def _download_error(code: str, source: str, detail: str) -> TransferError:
    category = "usererror" if code in ("BlobNotFound", "BlobAccessDenied") else "servererror"
    details = (("Message", detail), ("Source", source.split("?", 1)[0]))
    return TransferError(Failure(category=category, code=code, message=_DOWNLOAD_MESSAGES[code], details=details))


def _upload_error(code: str, output: OutputFile, detail: str) -> TransferError:
    category = "servererror" if code == "FileUploadMiscError" else "usererror"
    details = (("Message", detail.split("?", 1)[0]), ("FilePattern", output.pattern))
    return TransferError(Failure(category=category, code=code, message=_UPLOAD_MESSAGES[code], details=details))
