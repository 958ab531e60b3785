"""Ingest and its inbox: nothing is answered that is not durable, and everybody who waits is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from pipeline import inbox as inboxes
from pipeline.inbox import Inbox
from pipeline.storage import StorageUnavailableError
from shared.arrival import Arrival, from_lines
from shared.errors import RetryableError
from shared.events import Ignored
from tests.fakes.storage import FakeContainer
from tests.fakes.world import World, arrival

T = TypeVar("T")


def event(name: str, etag: str = "0x1", **data: object) -> dict[str, Any]:
    return {
        "id": f"id-{name}-{etag}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "subject": f"/blobServices/default/containers/images/blobs/{name}",
        "eventTime": "2026-01-02T03:04:05Z",
        "data": {
            "api": "PutBlob",
            "url": f"https://photos.blob.core.windows.net/images/{name}",
            "eTag": etag,
            "contentLength": 3,
            "sequencer": "01",
            **data,
        },
    }


def durable(container: FakeContainer) -> list[Arrival]:
    data = b"".join(container.blobs[name].data for name in container.names("inbox/"))
    return list(from_lines(data, where="inboxes"))


class Storm:
    """A gate that refuses every append while it rages."""

    def __init__(self) -> None:
        self.raging = True

    async def __call__(self, label: str, operation: Callable[[], T]) -> T:
        if self.raging and label.startswith("append"):
            raise StorageUnavailableError("503 ServerBusy")
        await asyncio.sleep(0)
        return operation()


async def test_an_event_is_answered_when_its_arrival_is_durable() -> None:
    world = World()
    found = await world.app().arrived(event("a.jpg"))
    assert [found] == durable(world.manifests)


async def test_a_repeated_event_costs_no_second_append() -> None:
    world = World()
    app = world.app()
    for _ in range(3):
        await app.arrived(event("a.jpg"))
    assert app.inbox.appends == 1
    assert app.ingest.counts == {"accepted": 1, "repeated": 2}


async def test_while_storage_is_away_every_event_fails_and_none_is_forgotten_when_it_comes_again() -> None:
    storm = Storm()
    container = FakeContainer("manifests", gate=storm)
    world = World()
    world.containers["manifests"] = container
    app = world.app()
    answers = await asyncio.gather(*(app.arrived(event(f"{n}.jpg")) for n in range(20)), return_exceptions=True)
    assert all(isinstance(answer, RetryableError) for answer in answers)
    assert durable(container) == []
    storm.raging = False
    await asyncio.gather(*(app.arrived(event(f"{n}.jpg")) for n in range(20)))
    assert {found.name for found in durable(container)} == {f"{n}.jpg" for n in range(20)}


async def test_an_event_that_is_not_durable_in_time_fails_within_its_deadline() -> None:
    never = asyncio.Event()

    async def stuck(label: str, operation: Callable[[], T]) -> T:
        await never.wait()
        return operation()

    inbox = Inbox(container=FakeContainer("manifests", gate=stuck), process="p")
    with pytest.raises(RetryableError, match="not durable within"):
        await inbox.add([arrival("a.jpg", "1")], deadline=0.05)
    never.set()


async def test_events_at_the_same_moment_share_appends() -> None:
    world = World()
    app = world.app()
    await asyncio.gather(*(app.arrived(event(f"{n}.jpg")) for n in range(200)))
    assert len(durable(world.manifests)) == 200
    assert app.inbox.appends <= 2


async def test_an_inbox_that_was_sealed_or_deleted_is_left_for_a_new_one() -> None:
    container = FakeContainer("manifests")
    inbox = Inbox(container=container, process="p")
    await inbox.add([arrival("a.jpg", "1")], deadline=5)
    await container.seal("inbox/p/000001.jsonl")
    await inbox.add([arrival("b.jpg", "1")], deadline=5)
    await container.delete("inbox/p/000002.jsonl")
    await inbox.add([arrival("c.jpg", "1")], deadline=5)
    assert container.names() == ["inbox/p/000001.jsonl", "inbox/p/000003.jsonl"]
    assert [found.name for found in durable(container)] == ["a.jpg", "c.jpg"]


async def test_an_inbox_rotates_before_storage_would_refuse_another_block(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inboxes.MAX_BLOCKS < 50_000
    monkeypatch.setattr(inboxes, "MAX_BLOCKS", 3)
    container = FakeContainer("manifests")
    inbox = Inbox(container=container, process="p")
    for number in range(7):
        await inbox.add([arrival(f"{number}.jpg", "1")], deadline=5)
    assert len(container.names()) == 3
    assert len(durable(container)) == 7


@pytest.mark.parametrize(
    ("strange", "reason"),
    [
        ({"eventType": "Microsoft.Storage.BlobDeleted"}, Ignored.OTHER_TYPE),
        ({"data": None}, Ignored.MALFORMED),
        ({"subject": 7}, Ignored.MALFORMED),
        ({"subject": "/blobServices/default/containers/converted/blobs/a.jpg"}, Ignored.OTHER_CONTAINER),
        ({"subject": "/blobServices/default/containers/images/blobs/a.png"}, Ignored.NOT_A_JPEG),
        ({"subject": "/blobServices/default/containers/images/blobs/" + "x" * 2000 + ".jpg"}, Ignored.MALFORMED),
        (event("a.jpg", url="https://evil.example/images/a.jpg"), Ignored.OTHER_ACCOUNT),
        (event("a.jpg", url="https://photos.blob.core.windows.net.evil.example/images/a.jpg"), Ignored.OTHER_ACCOUNT),
        (event("a.jpg", url="https://["), Ignored.OTHER_ACCOUNT),
        (event("a.jpg", api="CreateFile", contentLength=0), Ignored.EMPTY_CREATE),
        (event("a.jpg", contentLength=-1), Ignored.MALFORMED),
        (event("a.jpg", eTag='""'), Ignored.MALFORMED),
    ],
)
async def test_a_strange_event_is_ignored_with_a_counted_reason(strange: dict[str, Any], reason: Ignored) -> None:
    world = World()
    app = world.app()
    assert await app.arrived(event("a.jpg") | strange) is reason
    assert app.ingest.counts == {reason.value: 1}
    assert durable(world.manifests) == []


@pytest.mark.parametrize(
    "name",
    [
        "a b'\"%41\\ü😀.jpg",
        "../../etc/passwd.jpg",
        ".jpg",
        "x" * 1020 + ".jpg",
        "line\nbreak.jpg",
        "<img src=x onerror=alert(1)>.JPEG",
    ],
)
async def test_hostile_names_arrive_as_they_are(name: str) -> None:
    world = World()
    await world.app().arrived(event(name))
    assert [found.name for found in durable(world.manifests)] == [name]


async def test_the_counts_of_ingest_reach_the_journal_in_one_write() -> None:
    world = World()
    app = world.app()
    for name in ("a.jpg", "a.jpg", "b.png"):
        await app.arrived(event(name))
    await app.ingest_journal.write()
    await app.ingest_journal.write()
    state = await app.journal.state("ingest")
    assert state is not None
    assert state.totals == {"accepted": 1, "repeated": 1, "not-a-jpeg-name": 1}
    assert len(await app.journal.lines("ingest", world.time)) == 1
