"""HTTP triggers: addresses, keys, and the way of a request to a function and back.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

import azure.functions as func
from aiohttp import web
from azure.functions.http import HttpRequest

from localcloud.functions.index import AppFunction, AuthLevel, HttpTrigger
from localcloud.functions.invocation import InvocationFailedError, Invoker
from localcloud.functions.keys import Keys
from localcloud.functions.route import Candidate, choose, parse_route

_log = logging.getLogger(__name__)


def given_key(request: web.Request) -> str:
    """The access key that a request carries: `x-functions-key`, else `?code=`."""
    return request.headers.get("x-functions-key") or request.query.get("code", "")


class HttpTriggers:
    """The HTTP functions of an app."""

    def __init__(self, functions: Sequence[AppFunction], *, prefix: str, keys: Keys, invoker: Invoker) -> None:
        self._keys = keys
        self._invoker = invoker
        self._functions: dict[str, AppFunction] = {}
        self._candidates: list[Candidate] = []
        for function in functions:
            if isinstance(function.trigger, HttpTrigger):
                self._functions[function.name] = function
                route = parse_route(f"{prefix}/{function.trigger.route}")
                self._candidates.append(
                    Candidate(function=function.name, route=route, methods=function.trigger.methods)
                )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request: 404 no such address or method, 401 no key that fits, 500 the function failed."""
        chosen = choose(self._candidates, method=request.method, path=request.rel_url.raw_path.lstrip("/"))
        if chosen is None:
            return web.Response(status=404)
        name, values = chosen
        function = self._functions[name]
        if not self._allows(function, given_key(request)):
            return web.Response(status=401)
        try:
            result = await self._invoker.call(
                function,
                await _function_request(request, values),
                reason="This function was programmatically called via the host APIs.",
            )
            return _response(function, result)
        except InvocationFailedError:
            return web.Response(status=500)

    def _allows(self, function: AppFunction, key: str) -> bool:
        level = function.trigger.level if isinstance(function.trigger, HttpTrigger) else AuthLevel.ADMIN
        match level:
            case AuthLevel.ANONYMOUS:
                return True
            case AuthLevel.FUNCTION:
                return self._keys.opens_function(function.name, key)
            case AuthLevel.ADMIN:
                return self._keys.opens_admin(key)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Repeated names as one value with commas, as the host hands them on."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


async def _function_request(request: web.Request, values: Mapping[str, str]) -> HttpRequest:
    return HttpRequest(
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.raw_path}",
        headers=_joined(request.headers.items()),
        params=_joined(request.query.items()),
        route_params=values,
        body_type="bytes",
        body=await request.read(),
    )


def _response(function: AppFunction, result: object) -> web.Response:
    if result is None:
        return web.Response(status=204)
    if isinstance(result, str):
        return web.Response(text=result)
    if not isinstance(result, func.HttpResponse):
        _log.error("%s returned %s, which is no HTTP response", function.name, type(result).__name__)
        raise InvocationFailedError(function.name)
    response = web.Response(status=result.status_code, body=result.get_body())
    response.headers.popall("Content-Type", None)
    for name, value in result.headers.items():
        if name.lower() != "content-length":  # counted anew
            response.headers.add(name, value)
    if "Content-Type" not in response.headers:
        text = str(result.mimetype).startswith("text/")
        kind = f"{result.mimetype}; charset={result.charset}" if text else str(result.mimetype)
        response.headers["Content-Type"] = kind
    return response
