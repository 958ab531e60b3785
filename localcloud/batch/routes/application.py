"""The HTTP server: authentication, api-version, dispatch, errors and the headers that every answer carries."""

import json
import logging
import time
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from localcloud.batch.core.errors import Refused
from localcloud.batch.faults import FaultyAnswer
from localcloud.batch.routes.admin import ADMIN_PREFIX, administer
from localcloud.batch.routes.call import Call, NotModified
from localcloud.batch.routes.table import find_route
from localcloud.batch.service import Service
from localcloud.batch.wire.errors import error_body, status_of
from localcloud.batch.wire.instants import http_date, parse_http_date
from localcloud.batch.wire.sharedkey import check_signature, claimed_account, string_to_sign
from localcloud.batch.wire.versions import check_version

_LOG = logging.getLogger(__name__)
_MAX_BODY = 8 << 20
_MAX_SKEW = 900.0


class Front:
    """Answers requests for all accounts. `base` is the endpoint, without a slash at its end."""

    def __init__(self, services: Mapping[str, Service], *, base: str) -> None:
        self._services = services
        self._base = base

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_route("*", "/{rest:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        request_id = str(uuid.uuid4())
        try:
            response = await self._answer(request, request_id)
        except NotModified:
            response = web.Response(status=304)
        except Refused as refused:
            response = self._refusal(request, refused, request_id)
        except web.HTTPRequestEntityTooLarge:
            response = self._refusal(request, Refused("RequestBodyTooLarge"), request_id)
        except Exception:  # noqa: BLE001 - whatever it is, it is logged and the client hears of it
            _LOG.exception("request failed, method=%s path=%s", request.method, request.path)
            response = self._refusal(request, Refused("InternalError"), request_id)
        response.headers["request-id"] = request_id
        response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
        if request.headers.get("return-client-request-id", "").lower() == "true":
            response.headers["client-request-id"] = request.headers.get("client-request-id", "")
        return response

    async def _answer(self, request: web.Request, request_id: str) -> web.Response:
        url = urlsplit(request.raw_path)
        if url.path.startswith(ADMIN_PREFIX):
            return await administer(request, self._services)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        headers = {name.lower(): value for name, value in request.headers.items()}
        service = self._authenticated(request.method, url.path, query, headers)
        service.faults.strike(request.method, url.path, after=False)
        version = check_version(query.get("api-version"))
        parts = tuple(unquote(part) for part in url.path.strip("/").split("/"))
        handler, matched = find_route(request.method, parts)
        call = Call(
            service=service,
            base=self._base,
            method=request.method,
            path=url.path,
            parts=matched,
            query=query,
            headers=headers,
            body=await request.read(),
            version=version,
            extra={"request-id": request_id},
        )
        response = await handler(call)
        # The service's own time, as a client needs it to tell how long something has been so.
        response.headers["Date"] = http_date(service.account.now)
        service.faults.strike(request.method, url.path, after=True)
        return response

    def _authenticated(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Service:
        authorization = headers.get("authorization")
        name = claimed_account(authorization)
        service = self._services.get(name)
        if service is None or authorization is None:
            raise Refused("AuthenticationFailed", values=(("AuthenticationErrorDetail", "The account is not known"),))
        _check_date(headers)
        lengths = (headers.get("content-length", ""), "0", "")
        texts = tuple(
            string_to_sign(
                method=method,
                path=path,
                query=query,
                headers={**headers, "content-length": length},
                account=name,
            )
            for length in dict.fromkeys(lengths)
        )
        check_signature(authorization, texts, service.key)
        return service

    def _refusal(self, request: web.Request, refused: Refused, request_id: str) -> web.Response:
        headers = {}
        if isinstance(refused, FaultyAnswer) and refused.retry_after is not None:
            headers["Retry-After"] = str(refused.retry_after)
        body = error_body(refused, base=self._base, request_id=request_id, now=time.time())
        return web.Response(
            status=status_of(refused.code),
            body=b"" if request.method == "HEAD" else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json;odata=minimalmetadata",
                "Date": http_date(time.time()),
                **headers,
            },
        )


def _check_date(headers: Mapping[str, str]) -> None:
    """A signature is good for 15 minutes."""
    text = headers.get("ocp-date") or headers.get("date")
    if text is None:
        raise Refused("AuthenticationFailed", values=(("AuthenticationErrorDetail", "A date header is missing"),))
    try:
        at = parse_http_date(text)
    except (TypeError, ValueError) as error:
        raise Refused("InvalidHeaderValue", values=(("HeaderName", "ocp-date"), ("HeaderValue", text))) from error
    if abs(at - time.time()) > _MAX_SKEW:
        raise Refused(
            "AuthenticationFailed",
            values=(
                ("AuthenticationErrorDetail", "The date header differs from the server's clock by over 15 minutes"),
            ),
        )
