"""The Event Grid webhook of the host: `/runtime/webhooks/EventGrid?functionName=NAME&code=KEY`.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-event-grid-trigger
The function is called once for each event of a delivery, all at once; the delivery is accepted when all of
them succeeded, and fails as a whole when one did not.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import azure.functions as func
from aiohttp import web

from localcloud.functions.httptrigger import given_key
from localcloud.functions.index import AppFunction, EventGridTrigger
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import Keys

PATH = "/runtime/webhooks/eventgrid"


class EventGridTriggers:
    """The Event Grid functions of an app."""

    def __init__(self, functions: Sequence[AppFunction], *, keys: Keys, invoker: Invoker) -> None:
        self._keys = keys
        self._invoker = invoker
        self._functions = {
            function.name.casefold(): function
            for function in functions
            if isinstance(function.trigger, EventGridTrigger)
        }

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request to the webhook as the extension does."""
        if not self._keys.opens_event_grid(given_key(request)):
            return web.Response(status=401)
        function = self._functions.get(request.query.get("functionName", "").casefold())
        if function is None:
            return web.Response(status=404, text=f"cannot find function: '{request.query.get('functionName', '')}'")
        if request.method == "OPTIONS":  # the handshake of CloudEvents
            origin = request.headers.get("WebHook-Request-Origin", "")
            return web.Response(headers={"Webhook-Allowed-Origin": origin})
        match request.headers.get("aeg-event-type", "").casefold():
            case "subscriptionvalidation":
                return await self._validate(request)
            case "notification":
                return await self._notify(function, request)
            case "unsubscribe":
                return web.Response(status=202)
            case _:
                return web.Response(status=400)

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            code = json.loads(await request.read())[0]["data"]["validationCode"]
        except (ValueError, LookupError, TypeError):
            return web.Response(status=400)
        return web.json_response({"validationResponse": code})

    async def _notify(self, function: AppFunction, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            events = [event_argument(event) for event in (body if isinstance(body, list) else [body])]
        except (ValueError, AttributeError):
            return web.Response(status=400)
        calls = [
            self._invoker.start(function, event, reason=f"EventGrid trigger fired at {event.event_time}")
            for event in events
        ]
        results = await asyncio.gather(*(asyncio.shield(call) for call in calls), return_exceptions=True)
        failed = sum(isinstance(result, BaseException) for result in results)
        return web.Response(status=500 if failed else 202)


def event_argument(event: Mapping[str, Any]) -> func.EventGridEvent:
    """The object that an Event Grid function gets. Raises ValueError, AttributeError for what is no event."""
    time = event.get("eventTime")
    return func.EventGridEvent(
        id=event.get("id", ""),
        topic=event.get("topic", ""),
        subject=event.get("subject", ""),
        event_type=event.get("eventType", ""),
        event_time=datetime.fromisoformat(time) if time else None,
        data=event.get("data") or {},
        data_version=event.get("dataVersion", ""),
    )
