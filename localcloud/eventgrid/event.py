"""Events in Event Grid's own schema.

https://learn.microsoft.com/azure/event-grid/event-schema
https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.azurite.writes import BlobWrite

_SCOPE = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/localcloud/providers"

BLOB_CREATED = "Microsoft.Storage.BlobCreated"

Event = dict[str, Any]
"""One event as it is on the wire. Only this package looks inside."""


def storage_topic(account: str) -> str:
    """The resource id that a storage account's events carry as their topic."""
    return f"{_SCOPE}/Microsoft.Storage/storageAccounts/{account}"


def custom_topic(name: str) -> str:
    """The resource id that a custom topic's events carry as their topic."""
    return f"{_SCOPE}/Microsoft.EventGrid/topics/{name}"


def event_time(moment: datetime) -> str:
    """ISO 8601 in UTC, as Event Grid writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def subject(write: BlobWrite) -> str:
    """The subject of a blob's events: its name as it is, not percent-encoded."""
    return f"/blobServices/default/containers/{write.container}/blobs/{write.blob}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a blob is now, as a HEAD tells it."""

    etag: str
    content_length: int
    content_type: str
    blob_type: str


def blob_created(write: BlobWrite, *, endpoint: str, stored: Stored | None, sequencer: int) -> Event:
    """The BlobCreated event of `write`.

    `endpoint` is the account's blob endpoint. The URL holds the blob's name as it is, as Azure's does (a `#`
    in a name arrives as `#`: github.com/Azure/azure-sdk-for-net/issues/23634), so readers go by the subject.
    `stored` says what the request did not (None: the blob is gone again). `sequencer` grows with each event.
    """
    length = write.content_length if write.content_length is not None else (stored.content_length if stored else 0)
    return {
        "topic": storage_topic(write.account),
        "subject": subject(write),
        "eventType": BLOB_CREATED,
        "id": str(uuid.uuid4()),
        "data": {
            "api": write.api,
            "clientRequestId": write.client_request_id,
            "requestId": write.request_id,
            "eTag": write.etag or (stored.etag if stored else ""),
            "contentType": stored.content_type if stored else write.content_type,
            "contentLength": length,
            "blobType": stored.blob_type if stored else write.blob_type,
            "url": f"{endpoint}/{write.container}/{write.blob}",
            "sequencer": f"{sequencer:032x}",
            "storageDiagnostics": {"batchId": str(uuid.uuid4())},
        },
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": event_time(write.at),
    }


def validation(*, topic: str, code: str, at: datetime) -> Event:
    """The event of the handshake that proves that an endpoint wants events.

    https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
    """
    return {
        "id": str(uuid.uuid4()),
        "topic": topic,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": event_time(at),
        "metadataVersion": "1",
        "dataVersion": "1",
    }


_REQUIRED = ("id", "subject", "eventType", "eventTime", "data")


def published(body: object, *, topic: str) -> list[Event]:
    """The events of a request to a custom topic, completed as the service does.

    Raises ValueError that names what is wrong; the service answers it with 400.
    """
    if not isinstance(body, list):
        raise ValueError("the body must be an array of events")  # noqa: TRY004 - the caller answers 400 to a ValueError
    events: list[Event] = []
    for number, event in enumerate(body):
        if not isinstance(event, Mapping):
            raise ValueError(f"event {number} is no object")  # noqa: TRY004 - as above
        missing = [name for name in _REQUIRED if name not in event]
        if missing:
            raise ValueError(f"event {number} lacks {', '.join(missing)}")
        events.append({"dataVersion": "", **event, "topic": topic, "metadataVersion": "1"})
    return events
