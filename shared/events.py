"""Event Grid's blob-created event, parsed once at the edge into an arrival or a reason to ignore it.

Schema: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage. Unknown fields are ignored, as it asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.arrival import Arrival
from shared.naming import MAX_BLOB_NAME, is_jpeg_name, normal_etag

BLOB_CREATED = "Microsoft.Storage.BlobCreated"
_SUBJECT = "/blobServices/default/containers/"


class Ignored(StrEnum):
    """Why an event brings no arrival. Each is counted."""

    OTHER_TYPE = "other-event-type"
    OTHER_CONTAINER = "other-container"
    OTHER_ACCOUNT = "other-account"
    NOT_A_JPEG = "not-a-jpeg-name"
    EMPTY_CREATE = "empty-create-file"  # a hierarchical namespace announces the file before its content
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """Where images come from."""

    account: str
    """The account's host, `name.blob.core.windows.net`; Azurite's with its path, `127.0.0.1:10000/devstoreaccount1`."""
    container: str


def parse_blob_created(event: Mapping[str, Any], source: ImageSource) -> Arrival | Ignored:
    """The arrival that a BlobCreated event announces, or why there is none. Never raises for a bad event.

    `event` is the Event Grid envelope: id, eventType, subject, eventTime, data.
    """
    if event.get("eventType") != BLOB_CREATED:
        return Ignored.OTHER_TYPE
    data = event.get("data")
    if not isinstance(data, Mapping):
        return Ignored.MALFORMED
    id_, subject, time = event.get("id"), event.get("subject"), event.get("eventTime")
    url, etag, size = data.get("url"), data.get("eTag"), data.get("contentLength")
    if not (_text(id_) and _text(subject) and _text(time) and _text(url) and _text(etag)):
        return Ignored.MALFORMED
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        return Ignored.MALFORMED
    container, slash, name = str(subject).removeprefix(_SUBJECT).partition("/blobs/")
    if not slash or not str(subject).startswith(_SUBJECT):
        return Ignored.MALFORMED
    if not _in_account(str(url), source.account):
        return Ignored.OTHER_ACCOUNT
    if container != source.container:
        return Ignored.OTHER_CONTAINER
    if not name or len(name) > MAX_BLOB_NAME or not normal_etag(str(etag)):
        return Ignored.MALFORMED
    if not is_jpeg_name(name):
        return Ignored.NOT_A_JPEG
    if data.get("api") == "CreateFile" and size == 0:
        return Ignored.EMPTY_CREATE
    sequencer = data.get("sequencer")
    return Arrival(
        id=str(id_),
        name=name,
        etag=normal_etag(str(etag)),
        size=size,
        time=str(time),
        sequencer=sequencer if isinstance(sequencer, str) else "",
    )


def account_of(service_url: str) -> str:
    """The account part of a blob service's URL, as ImageSource wants it: host (and port), and Azurite's path."""
    parts = urlsplit(service_url)
    return (parts.netloc + parts.path).rstrip("/").lower()


def _in_account(url: str, account: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.netloc.lower()
    # A hierarchical namespace sends the URL of its dfs endpoint for the same account.
    blob_host = host.replace(".dfs.", ".blob.", 1)
    return f"{blob_host}{unquote(parts.path)}".lower().startswith(account + "/")


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""
