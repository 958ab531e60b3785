"""The event service: source, queue, deliveries and custom topics, put together."""

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web

from localcloud.azurite.account import NAME as ACCOUNT
from localcloud.azurite.blobs import Blobs
from localcloud.azurite.writes import WriteLog
from localcloud.eventgrid.delivery import Delivery
from localcloud.eventgrid.event import Event
from localcloud.eventgrid.queue import EventQueue
from localcloud.eventgrid.source import BlobEventSource
from localcloud.eventgrid.subscription import EventSubscription
from localcloud.eventgrid.topic import TopicService
from localcloud.loopback import HOST

STATE_PATH = "/_local/state"

_log = logging.getLogger(__name__)


class EventService:
    """Event Grid for one storage account and some custom topics.

    `webhook` gives a function's webhook address. Who has `key` may ask what waits (`GET /_local/state`). `report`
    gets a line when events are given up. What else happens goes to the file `log`.
    """

    def __init__(
        self,
        *,
        subscriptions: Sequence[EventSubscription],
        topic_keys: Mapping[str, str],
        key: str,
        queue_path: Path,
        writes: Path,
        blobs: Blobs,
        blob_endpoint: str,
        webhook: Callable[[str], str],
        port: int,
        log: Path,
        report: Callable[[str], None],
        speed: float,
    ) -> None:
        self._subscriptions = subscriptions
        self._topic_keys = topic_keys
        self._key = key
        self._writes = writes
        self._blobs = blobs
        self._blob_endpoint = blob_endpoint
        self._webhook = webhook
        self._port = port
        self._report = report
        self._speed = speed
        self._queue = EventQueue(queue_path)
        self._handler = logging.FileHandler(log, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._deliveries: list[Delivery] = []
        self._http: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the custom topics are served."""
        return f"http://{HOST}:{self._port}"

    async def start(self) -> int:
        """Serve the topics and get ready to deliver; the number of deliveries that an earlier run left."""
        logger = logging.getLogger(__package__)
        logger.addHandler(self._handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        self._http = aiohttp.ClientSession()
        self._deliveries = [self._delivery(subscription, self._http) for subscription in self._subscriptions]
        topics = TopicService(
            self._topic_keys,
            queue=self._queue,
            subscriptions=self._subscriptions,
            on_publish=self._on_publish,
        )
        application = topics.application()
        application.router.add_get(STATE_PATH, self._state)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        return self._queue.begin([subscription.name for subscription in self._subscriptions])

    def _delivery(self, subscription: EventSubscription, http: aiohttp.ClientSession) -> Delivery:
        return Delivery(
            subscription,
            queue=self._queue,
            http=http,
            endpoint=lambda: self._webhook(subscription.function),
            store=self._blobs,
            account=ACCOUNT,
            report=self._report,
            speed=self._speed,
        )

    async def _state(self, request: web.Request) -> web.Response:
        """No part of Event Grid: how much of each subscription waits, for who has the host's master key."""
        if not hmac.compare_digest(request.headers.get("x-functions-key", "").encode(), self._key.encode()):
            return web.json_response({"error": {"code": "Unauthorized"}}, status=401)
        return web.json_response({"subscriptions": [self._backlog(delivery) for delivery in self._deliveries]})

    def _backlog(self, delivery: Delivery) -> dict[str, object]:
        backlog = self._queue.backlog(delivery.subscription.name)
        oldest = datetime.fromtimestamp(backlog.oldest, UTC).isoformat(timespec="seconds") if backlog.events else ""
        return {
            "name": delivery.subscription.name,
            "function": delivery.subscription.function,
            "validated": delivery.validated.is_set(),
            "waiting": backlog.events,
            "tried": backlog.tried,
            "oldest": oldest,
            "last_failure": delivery.last_failure,
        }

    def _on_publish(self, topic: str, events: Sequence[Event]) -> None:
        for event in events:
            _log.info("published topic=%s type=%s subject=%s", topic, event["eventType"], event["subject"])
        self._wake()

    def _wake(self) -> None:
        for delivery in self._deliveries:
            delivery.wake()

    async def run(self) -> None:
        """Follow the writes and deliver until cancelled."""
        source = BlobEventSource(
            WriteLog(self._writes),
            queue=self._queue,
            subscriptions=self._subscriptions,
            blobs=self._blobs,
            endpoint=self._blob_endpoint,
            published=self._wake,
        )
        async with asyncio.TaskGroup() as running:
            running.create_task(source.run())
            for delivery in self._deliveries:
                running.create_task(delivery.run())

    async def not_validated(self, *, timeout_seconds: float) -> list[str]:
        """Wait until every endpoint has passed the handshake; the subscriptions whose endpoint has not in time."""
        waiting = [delivery.validated.wait() for delivery in self._deliveries]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await asyncio.gather(*waiting)
        return [delivery.subscription.name for delivery in self._deliveries if not delivery.validated.is_set()]

    def hasten(self) -> None:
        """An endpoint or the storage came back: what waits for another attempt is tried now."""
        self._queue.hasten(time.time())
        self._wake()

    async def close(self) -> None:
        """Stop serving topics and close the queue. Call after `run` was cancelled."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._http is not None:
            await self._http.close()
        self._queue.close()
        logging.getLogger(__package__).removeHandler(self._handler)
        self._handler.close()
