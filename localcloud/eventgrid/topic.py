"""Custom topics: where applications publish events of their own.

https://learn.microsoft.com/azure/event-grid/post-to-custom-topic: `POST …/api/events` with the topic's key in
`aeg-sas-key`, an array in Event Grid's schema. Here a topic's address is `/topics/NAME/api/events`.
"""

import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from localcloud.eventgrid.event import Event, custom_topic, published
from localcloud.eventgrid.queue import EventQueue, Publication
from localcloud.eventgrid.subscription import EventSubscription

_LARGEST_REQUEST_BYTES = 1024 * 1024


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "details": []}}, status=status)


class TopicService:
    """The HTTP face of the custom topics in `keys` (topic name to access key)."""

    def __init__(
        self,
        keys: Mapping[str, str],
        *,
        queue: EventQueue,
        subscriptions: Sequence[EventSubscription],
        on_publish: Callable[[str, Sequence[Event]], None],
    ) -> None:
        self._keys = keys
        self._queue = queue
        self._subscriptions = subscriptions
        self._on_publish = on_publish

    def application(self) -> web.Application:
        """The routes, to be served on loopback."""
        application = web.Application(client_max_size=_LARGEST_REQUEST_BYTES)
        application.router.add_post("/topics/{topic}/api/events", self._post)
        return application

    async def _post(self, request: web.Request) -> web.Response:
        name = request.match_info["topic"]
        key = self._keys.get(name)
        if key is None:
            return _error(404, "ResourceNotFound", f"There is no topic {name!r} here.")
        if not hmac.compare_digest(request.headers.get("aeg-sas-key", "").encode(), key.encode()):
            return _error(401, "Unauthorized", "The request's aeg-sas-key is not the key of this topic.")
        try:
            body = json.loads(await request.read())
            events = published(body, topic=custom_topic(name))
        except web.HTTPRequestEntityTooLarge:
            return _error(413, "RequestEntityTooLarge", f"A request holds at most {_LARGEST_REQUEST_BYTES} bytes.")
        except ValueError as error:
            return _error(400, "BadRequest", f"This topic takes events in Event Grid's schema: {error}.")
        self._queue.publish([self._publication(name, event) for event in events], now=time.time())
        self._on_publish(name, events)
        return web.Response(status=200)

    def _publication(self, topic: str, event: Event) -> Publication:
        wanting = [s.name for s in self._subscriptions if s.topic == topic and s.wants(event)]
        return Publication(make=lambda _: event, subscriptions=wanting)
