"""The host's administrative addresses, for the master key only.

https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

import json
import time
from collections.abc import Sequence

from aiohttp import web
from azure.functions.http import HttpRequest

from localcloud.functions.eventgridtrigger import event_argument
from localcloud.functions.httptrigger import given_key
from localcloud.functions.index import AppFunction, EventGridTrigger, HttpTrigger, TimerTrigger
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import Keys
from localcloud.functions.timer import timer_request

_FUNCTIONS = "/admin/functions"
_REASON = "This function was programmatically called via the host APIs."


class Admin:
    """`/admin/…` of a host. `errors` is why the app did not load; none means that it runs."""

    def __init__(
        self,
        functions: Sequence[AppFunction],
        *,
        keys: Keys,
        invoker: Invoker,
        errors: Sequence[str],
        prefix: str,
    ) -> None:
        self._functions = {function.name.casefold(): function for function in functions}
        self._keys = keys
        self._invoker = invoker
        self._errors = list(errors)
        self._prefix = prefix
        self._started = time.monotonic()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request under `/admin/`."""
        if not self._keys.opens_admin(given_key(request)):
            return web.Response(status=401)
        path = request.path.rstrip("/")
        if path.casefold() == "/admin/host/status" and request.method == "GET":
            return web.json_response(self._status())
        if path.casefold() == "/admin/host/ping":
            return web.Response()
        if path.casefold() == _FUNCTIONS and request.method == "GET":
            return web.json_response([self._describe(request, function) for function in self._functions.values()])
        if path.casefold().startswith(_FUNCTIONS + "/"):
            return await self._function(request, path[len(_FUNCTIONS) + 1 :])
        return web.Response(status=404)

    def _status(self) -> dict[str, object]:
        status: dict[str, object] = {
            "id": "localcloud",
            "state": "Error" if self._errors else "Running",
            "version": "4.0 (localcloud)",
            "versionDetails": "4.0 (localcloud)",
            "processUptime": int((time.monotonic() - self._started) * 1000),
        }
        return {**status, "errors": self._errors} if self._errors else status

    def _describe(self, request: web.Request, function: AppFunction) -> dict[str, object]:
        origin = f"{request.scheme}://{request.host}"
        entry: dict[str, object] = {
            "name": function.name,
            "href": f"{origin}{_FUNCTIONS}/{function.name}",
            "isDisabled": False,
            "language": "python",
        }
        match function.trigger:
            case HttpTrigger(route=route, level=level):
                prefix = f"{self._prefix}/" if self._prefix else ""
                entry["invoke_url_template"] = f"{origin}/{prefix}{route.strip('/')}"
                entry["config"] = {"bindings": [{"type": "httpTrigger", "authLevel": level.value}]}
            case TimerTrigger(schedule=schedule):
                entry["config"] = {"bindings": [{"type": "timerTrigger", "schedule": schedule}]}
            case EventGridTrigger():
                entry["config"] = {"bindings": [{"type": "eventGridTrigger"}]}
        return entry

    async def _function(self, request: web.Request, name: str) -> web.Response:
        function = self._functions.get(name.casefold())
        if function is None or request.method not in ("GET", "POST"):
            return web.Response(status=404)
        if request.method == "GET":
            return web.json_response(self._describe(request, function))
        try:
            given = json.loads(await request.read() or b"{}").get("input") or ""
            argument = _argument(function, str(given))
        except (ValueError, AttributeError):
            return web.json_response({"error": 'the body must be {"input": "…"}'}, status=400)
        self._invoker.start(function, argument, reason=_REASON)
        return web.Response(status=202)  # before the run has ended, as Azure answers


def _argument(function: AppFunction, given: str) -> object:
    match function.trigger:
        case TimerTrigger():
            return timer_request(None, past_due=False)
        case EventGridTrigger():
            return event_argument(json.loads(given))
        case HttpTrigger():
            return HttpRequest(
                method="POST",
                url=f"http://localhost{_FUNCTIONS}/{function.name}",
                headers={},
                params={},
                route_params={},
                body_type="bytes",
                body=given.encode(),
            )
