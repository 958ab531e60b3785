"""Delivery to a real endpoint on loopback: handshake, batches, retries, dead letters; and the custom topics."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent
from azure.eventgrid.aio import EventGridPublisherClient

from localcloud.azurite.blobs import StorageAwayError
from localcloud.eventgrid.delivery import Delivery
from localcloud.eventgrid.queue import EventQueue, Publication
from localcloud.eventgrid.subscription import EventSubscription
from localcloud.eventgrid.topic import TopicService
from localcloud.loopback import free_port


@dataclass(slots=True)
class Endpoint:
    """A webhook that answers as told and remembers what came."""

    url: str = ""
    handshakes: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[list[dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refuse_handshakes: int = 0
    answer: Callable[[Sequence[dict[str, Any]]], int] = lambda events: 202

    async def handle(self, request: web.Request) -> web.Response:
        events = json.loads(await request.read())
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            self.handshakes.append(events[0])
            if len(self.handshakes) <= self.refuse_handshakes:
                return web.json_response({"validationResponse": "wrong"})
            return web.json_response({"validationResponse": events[0]["data"]["validationCode"]})
        self.deliveries.append(events)
        self.headers.append(dict(request.headers))
        return web.Response(status=self.answer(events))

    @property
    def delivered(self) -> list[int]:
        return sorted(event["n"] for events in self.deliveries for event in events)


@dataclass(slots=True)
class Graves:
    """Keeps dead letters; is away the first `away` times."""

    away: int = 0
    letters: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def put(self, container: str, name: str, body: bytes) -> None:
        if self.away:
            self.away -= 1
            raise StorageAwayError("away")
        self.letters[f"{container}/{name}"] = json.loads(body)


@asynccontextmanager
async def _serving(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """A webhook on a port of its own."""
    endpoint = Endpoint()
    application = web.Application()
    application.router.add_post("/hook", endpoint.handle)
    async with _serving(application) as url:
        endpoint.url = url + "/hook"
        yield endpoint


@pytest_asyncio.fixture
async def queue(tmp_path: Path) -> AsyncIterator[EventQueue]:
    """A queue with one subscription, `s`."""
    queue = EventQueue(tmp_path / "queue.db")
    queue.begin(["s"])
    yield queue
    queue.close()


def _publish(queue: EventQueue, count: int) -> None:
    queue.publish([Publication(make=lambda n: {"n": n}, subscriptions=["s"]) for _ in range(count)], now=time.time())


@asynccontextmanager
async def _delivering(
    endpoint: Endpoint, queue: EventQueue, *, graves: Graves | None = None, url: str = "", **changed: Any
) -> AsyncIterator[list[str]]:
    said: list[str] = []
    subscription = EventSubscription(**{"name": "s", "function": "f", "dead_letter_container": "dead", **changed})
    async with aiohttp.ClientSession() as http:
        delivery = Delivery(
            subscription,
            queue=queue,
            http=http,
            endpoint=lambda: url or endpoint.url,
            store=graves or Graves(),
            account="devstoreaccount1",
            report=said.append,
            speed=1000,  # ten seconds are ten milliseconds
        )
        task = asyncio.create_task(delivery.run())
        try:
            yield said
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is in another task or a database
            await asyncio.sleep(0.005)


async def test_every_event_is_delivered_and_then_forgotten(endpoint: Endpoint, queue: EventQueue) -> None:
    _publish(queue, 25)
    async with _delivering(endpoint, queue, max_events_per_batch=10):
        await _until(lambda: queue.depth() == 0)
    assert endpoint.delivered == list(range(1, 26))
    assert [len(events) for events in endpoint.deliveries] == [10, 10, 5]


async def test_a_delivery_says_what_it_is(endpoint: Endpoint, queue: EventQueue) -> None:
    _publish(queue, 1)
    async with _delivering(endpoint, queue):
        await _until(lambda: queue.depth() == 0)
    headers = endpoint.headers[0]
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-subscription-name"] == "S"
    assert headers["aeg-delivery-count"] == "0"
    assert headers["Content-Type"].startswith("application/json")


async def test_nothing_is_delivered_before_the_handshake_fits(endpoint: Endpoint, queue: EventQueue) -> None:
    """The first answer holds a wrong code; the second is right, and only then events come."""
    endpoint.refuse_handshakes = 1
    _publish(queue, 1)
    async with _delivering(endpoint, queue):
        await _until(lambda: queue.depth() == 0)
    assert len(endpoint.handshakes) == 2
    assert endpoint.handshakes[0]["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert endpoint.delivered == [1]


async def test_a_failed_delivery_is_tried_again_and_counts(endpoint: Endpoint, queue: EventQueue) -> None:
    endpoint.answer = lambda events: 202 if len(endpoint.deliveries) > 2 else 500
    _publish(queue, 1)
    async with _delivering(endpoint, queue):
        await _until(lambda: queue.depth() == 0)
    assert [headers["aeg-delivery-count"] for headers in endpoint.headers] == ["0", "1", "2"]


async def test_a_batch_fails_and_comes_back_whole(endpoint: Endpoint, queue: EventQueue) -> None:
    """At least once: the good ones of a failed batch come again."""
    endpoint.answer = lambda events: 202 if len(endpoint.deliveries) > 1 else 500
    _publish(queue, 3)
    async with _delivering(endpoint, queue, max_events_per_batch=10):
        await _until(lambda: queue.depth() == 0)
    assert endpoint.delivered == [1, 1, 2, 2, 3, 3]


async def test_an_event_that_is_never_taken_is_buried_with_its_story(endpoint: Endpoint, queue: EventQueue) -> None:
    endpoint.answer = lambda events: 500
    graves = Graves()
    _publish(queue, 1)
    async with _delivering(endpoint, queue, graves=graves, max_delivery_attempts=3) as said:
        await _until(lambda: queue.depth() == 0)
    ((name, letters),) = graves.letters.items()
    assert name.startswith("dead/S/20")
    assert name.endswith(".json")
    assert {key: letters[0][key] for key in ("n", "deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome")} == {
        "n": 1,
        "deadLetterReason": "MaxDeliveryAttemptsExceeded",
        "deliveryAttempts": 3,
        "lastDeliveryOutcome": "InternalServerError",
    }
    assert {"publishTime", "lastDeliveryAttemptTime"} <= set(letters[0])
    assert len(endpoint.deliveries) == 3
    assert "given up" in said[0]


async def test_a_bad_request_is_buried_at_once(endpoint: Endpoint, queue: EventQueue) -> None:
    endpoint.answer = lambda events: 400
    graves = Graves()
    _publish(queue, 1)
    async with _delivering(endpoint, queue, graves=graves):
        await _until(lambda: queue.depth() == 0)
    assert len(endpoint.deliveries) == 1
    assert [letters[0]["deadLetterReason"] for letters in graves.letters.values()] == ["BadRequest"]


async def test_without_a_dead_letter_container_the_event_is_dropped_and_said(
    endpoint: Endpoint, queue: EventQueue
) -> None:
    endpoint.answer = lambda events: 400
    _publish(queue, 1)
    async with _delivering(endpoint, queue, dead_letter_container=None) as said:
        await _until(lambda: queue.depth() == 0)
    assert "dropped" in said[0]


async def test_a_dead_letter_that_cannot_be_written_keeps_its_event(endpoint: Endpoint, queue: EventQueue) -> None:
    endpoint.answer = lambda events: 400
    graves = Graves(away=1)
    _publish(queue, 1)
    async with _delivering(endpoint, queue, graves=graves):
        await _until(lambda: graves.away == 0)
    assert queue.depth() + len(graves.letters) == 1  # it waits for another round, or has had it by now


async def test_an_endpoint_that_is_away_gets_its_events_when_it_is_back(queue: EventQueue) -> None:
    """The handshake waits for the endpoint as well."""
    endpoint = Endpoint()
    application = web.Application()
    application.router.add_post("/hook", endpoint.handle)
    port = free_port()
    _publish(queue, 2)
    async with _delivering(endpoint, queue, url=f"http://127.0.0.1:{port}/hook"):
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await _until(lambda: queue.depth() == 0)
        await runner.cleanup()
    assert endpoint.delivered == [1, 2]


@pytest.mark.parametrize("turns", range(4))
async def test_a_stop_that_comes_together_with_an_event_is_a_stop(
    endpoint: Endpoint, queue: EventQueue, turns: int
) -> None:
    """Whichever turn of the loop lies between the two, the delivery ends."""
    _publish(queue, 1)
    queue.again("s", [(1, 1, time.time() + 1000)])  # so that the wait is for an event or a time
    async with aiohttp.ClientSession() as http:
        delivery = Delivery(
            EventSubscription(name="s", function="f"),
            queue=queue,
            http=http,
            endpoint=lambda: endpoint.url,
            store=Graves(),
            account="devstoreaccount1",
            report=lambda _: None,
        )
        task = asyncio.create_task(delivery.run())
        await _until(delivery.validated.is_set)
        await asyncio.sleep(0.01)
        delivery.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=20)
        assert done == {task}


KEY = "topic-key"


@asynccontextmanager
async def _topic(queue: EventQueue) -> AsyncIterator[str]:
    subscriptions = [EventSubscription(name="s", function="f", topic="notes", included_event_types=("Note",))]
    service = TopicService({"notes": KEY}, queue=queue, subscriptions=subscriptions, on_publish=lambda *_: None)
    async with _serving(service.application()) as url:
        yield url + "/topics/notes/api/events"


def _note(kind: str = "Note") -> EventGridEvent:
    return EventGridEvent(subject="a", event_type=kind, data={"x": 1}, data_version="1")


async def test_the_official_client_publishes_to_a_topic(queue: EventQueue) -> None:
    async with _topic(queue) as url, EventGridPublisherClient(url, AzureKeyCredential(KEY)) as client:
        await client.send([_note(), _note("Other")])
    (pending,) = queue.take("s", now=time.time(), limit=10, limit_bytes=9999, lease=1)
    assert pending.event["data"] == {"x": 1}
    assert pending.event["topic"].endswith("/Microsoft.EventGrid/topics/notes")


async def test_a_wrong_topic_key_is_refused(queue: EventQueue) -> None:
    async with _topic(queue) as url, EventGridPublisherClient(url, AzureKeyCredential("wrong")) as client:
        with pytest.raises(ClientAuthenticationError):
            await client.send([_note()])
    assert queue.depth() == 0


async def test_another_schema_is_refused(queue: EventQueue) -> None:
    async with _topic(queue) as url, EventGridPublisherClient(url, AzureKeyCredential(KEY)) as client:
        with pytest.raises(HttpResponseError, match="schema"):
            await client.send([CloudEvent(source="s", type="t", data={})])


async def test_a_topic_that_is_not_there_is_not_found(queue: EventQueue) -> None:
    async with _topic(queue) as url:
        other = url.replace("/notes/", "/none/")
        async with aiohttp.ClientSession() as http, http.post(other, json=[], headers={"aeg-sas-key": KEY}) as answer:
            assert answer.status == 404
