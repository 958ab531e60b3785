"""A client by hand: signs requests itself, so that the server's own signing is not its judge."""

import base64
import hashlib
import hmac
import http.client
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.localcloud.batch.conftest import LocalBatch

VERSION = "2025-06-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["code"])


def send(
    service: LocalBatch,
    method: str,
    path: str,
    body: object = None,
    *,
    signed: bool = True,
    age: timedelta = timedelta(),
    headers: dict[str, str] | None = None,
    account: tuple[str, str] | None = None,
) -> Answer:
    """Send a request as https://learn.microsoft.com/rest/api/batchservice says it is to be signed."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    name, key = account or (service.account, service.key)
    sent = {
        "ocp-date": format_datetime(datetime.now(UTC) - age, usegmt=True),
        "content-type": "application/json; odata=minimalmetadata",
        **(headers or {}),
    }
    if method not in ("GET", "HEAD"):
        sent["content-length"] = str(len(data))
    if signed:
        sent["authorization"] = _authorization(method, path, sent, name, key)
    connection = http.client.HTTPConnection(urlsplit(service.endpoint).netloc, timeout=30)
    connection.request(method, path, body=data or None, headers=sent)
    response = connection.getresponse()
    answer = Answer(
        status=response.status,
        headers={k.lower(): v for k, v in response.getheaders()},
        body=response.read(),
    )
    connection.close()
    return answer


def _authorization(method: str, path: str, headers: dict[str, str], account: str, key: str) -> str:
    url = urlsplit(path)
    names = ("encoding", "language", "length", "md5", "type")
    lines = [method, *(headers.get(f"content-{name}", "") for name in names), headers.get("date", "")]
    lines += [headers.get(name, "") for name in ("if-modified-since", "if-match", "if-none-match")]
    lines += [headers.get(name, "") for name in ("if-unmodified-since", "range")]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("ocp-")]
    lines.append(f"/{account}{url.path}")
    lines += [f"{name}:{value}" for name, value in sorted(parse_qsl(url.query))]
    digest = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"


def order(service: LocalBatch, kind: str, **properties: object) -> Any:
    """Order misbehaviour through the admin route."""
    token = base64.b64encode(f"{service.account}:{service.key}".encode()).decode()
    connection = http.client.HTTPConnection(urlsplit(service.endpoint).netloc, timeout=30)
    connection.request("POST", f"/_local/{kind}", json.dumps(properties), {"authorization": f"Basic {token}"})
    response = connection.getresponse()
    document = json.loads(response.read())
    connection.close()
    if response.status != 200:
        raise AssertionError(f"{kind}: {document}")
    return document
