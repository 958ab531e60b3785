"""From a blob written to the real Azurite to its event in the queue, once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobBlock, ContainerClient

from localcloud.azurite.blobs import Blobs, StorageAwayError
from localcloud.azurite.writes import WriteLog
from localcloud.eventgrid.event import Event, Stored
from localcloud.eventgrid.queue import EventQueue
from localcloud.eventgrid.source import BlobEventSource
from localcloud.eventgrid.subscription import EventSubscription
from tests.localcloud.conftest import Storage

IMAGES = EventSubscription(
    name="s",
    function="f",
    subject_begins_with="/blobServices/default/containers/images/",
    subject_ends_with_any=(".jpg",),
)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[EventQueue]:
    queue = EventQueue(tmp_path / "queue.db")
    queue.begin(["s"])
    yield queue
    queue.close()


def _source(writes: Path, queue: EventQueue, blobs: "Blobs | Away", endpoint: str = "http://e") -> BlobEventSource:
    return BlobEventSource(
        WriteLog(writes), queue=queue, subscriptions=[IMAGES], blobs=blobs, endpoint=endpoint, published=lambda: None
    )


def _events(queue: EventQueue) -> list[Event]:
    pending = queue.take("s", now=time.time() + 1, limit=1000, limit_bytes=10**6, lease=0)
    return [one.event for one in pending]


async def _drain(source: BlobEventSource, queue: EventQueue, count: int) -> None:
    deadline = time.monotonic() + 20
    while queue.depth() < count:
        await source.step()
        assert time.monotonic() < deadline


@pytest.mark.azurite
async def test_written_images_become_events_with_their_true_length_and_etag(
    storage: Storage, queue: EventQueue
) -> None:
    await storage.blobs.make_container("images")
    await storage.blobs.make_container("other")
    with ContainerClient.from_connection_string(storage.connection_string, "images") as images:
        images.upload_blob("a ü.jpg", b"12345")
        images.upload_blob("note.txt", b"1")
        blocks = images.get_blob_client("blocks.jpg")
        for block in ("MDE=", "MDI="):
            blocks.stage_block(block, b"123")
        blocks.commit_block_list([BlobBlock("MDE="), BlobBlock("MDI=")])
        etag = blocks.get_blob_properties().etag.strip('"')
    await storage.blobs.put("other", "b.jpg", b"1")
    await _drain(_source(storage.writes, queue, storage.blobs, storage.endpoint), queue, 2)
    put, put_blocks = (event["data"] for event in _events(queue))
    assert (put["api"], put["contentLength"]) == ("PutBlob", 5)
    assert put["url"] == f"{storage.endpoint}/images/a ü.jpg"
    assert (put_blocks["api"], put_blocks["contentLength"], put_blocks["eTag"]) == ("PutBlockList", 6, etag)
    assert put["sequencer"] < put_blocks["sequencer"]


class Away:
    """Storage that is away the first time that it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def stored(self, container: str, blob: str) -> Stored | None:
        self.asked += 1
        if self.asked == 1:
            raise StorageAwayError("away")
        return Stored(etag="0x9", content_length=9, content_type="image/jpeg", blob_type="BlockBlob")


_LINE = (
    '{"time": 1, "api": "PutBlockList", "path": "/devstoreaccount1/images/a.jpg", "etag": "1", "blobType": "",'
    ' "contentLength": 5, "contentType": "", "requestId": "r", "clientRequestId": "c"}\n'
)


async def test_notices_wait_while_storage_is_away(tmp_path: Path, queue: EventQueue) -> None:
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(_LINE)
    source = _source(tmp_path, queue, Away())
    assert not await source.step()
    assert queue.depth() == 0
    assert await source.step()
    assert [event["data"]["contentLength"] for event in _events(queue)] == [9]


_UNHEARD = (
    '{"time": 1, "api": "PutBlob", "path": "/devstoreaccount1/images/%s", "etag": "", "blobType": "BlockBlob",'
    ' "contentLength": 5, "contentType": "", "requestId": "", "clientRequestId": ""}\n'
)


async def test_a_put_that_nobody_heard_of_is_an_event_if_there_is_a_blob(queue: EventQueue, storage: Storage) -> None:
    """The client left, or storage stopped, before the answer was out."""
    with ContainerClient.from_connection_string(storage.connection_string, "images") as images:
        images.create_container()
        etag = images.upload_blob("stored.jpg", b"1234").get_blob_properties().etag.strip('"')
    (storage.writes / "writes-900000000000000-000000.jsonl").write_text(_UNHEARD % "stored.jpg" + _UNHEARD % "no.jpg")
    await _drain(_source(storage.writes, queue, storage.blobs, storage.endpoint), queue, 2)
    heard, unheard = _events(queue)
    assert [event["data"]["eTag"] for event in (heard, unheard)] == [etag, etag]
    assert (unheard["data"]["contentLength"], unheard["data"]["blobType"]) == (4, "BlockBlob")


async def test_a_notice_becomes_one_event_however_often_the_service_starts(tmp_path: Path, queue: EventQueue) -> None:
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(_LINE)
    for _ in range(3):
        source = _source(tmp_path, queue, Away())
        while await source.step():
            pass
        await source.step()
        while await source.step():
            pass
    assert queue.depth() == 1
