"""A request on its way: who asks, for what, under which conditions; and the answers it can get."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web

from localcloud.batch.core import Account, Refused
from localcloud.batch.core.entities import Revision
from localcloud.batch.service import Service
from localcloud.batch.wire.instants import http_date, parse_http_date
from localcloud.batch.wire.odata import compile_filter
from localcloud.batch.wire.reader import Reader
from localcloud.batch.wire.resources import Resource, bad_query, etag

E = TypeVar("E")

MAX_PAGE = 1000
_JSON = "application/json;odata=minimalmetadata"


class NotModified(Exception):  # noqa: N818 - an answer, not an error
    """304"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated request."""

    service: Service
    base: str
    method: str
    path: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    version: str
    extra: dict[str, str] = field(default_factory=dict)

    def reader(self) -> Reader:
        """The JSON object in the body. Raises Refused: InvalidRequestBody."""
        try:
            document = json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused("InvalidRequestBody", values=(("Reason", str(error)),)) from error
        if not isinstance(document, dict):
            raise Refused("InvalidRequestBody", values=(("Reason", "The body must be a JSON object"),))
        return Reader(document)

    @property
    def account(self) -> Account:
        """The account, for reading."""
        return self.service.reading()

    # --- conditions ---

    def check(self, revision: Revision) -> None:
        """Raises Refused (ConditionNotMet) or NotModified as If-Match and its kin demand."""
        tag = etag(revision)
        match, none_match = self.headers.get("if-match"), self.headers.get("if-none-match")
        if match is not None and match != "*" and match.strip('"') != tag:
            raise Refused("ConditionNotMet")
        if none_match is not None and (none_match == "*" or none_match.strip('"') == tag):
            self._unmet()
        modified = int(revision.modified_at)
        since, until = self._date("if-modified-since"), self._date("if-unmodified-since")
        if since is not None and modified <= since:
            self._unmet()
        if until is not None and modified > until:
            raise Refused("ConditionNotMet")

    def _unmet(self) -> None:
        if self.method in ("GET", "HEAD"):
            raise NotModified
        raise Refused("ConditionNotMet")

    def _date(self, name: str) -> float | None:
        text = self.headers.get(name)
        if text is None:
            return None
        try:
            return parse_http_date(text)
        except (TypeError, ValueError) as error:
            raise Refused("InvalidHeaderValue", values=(("HeaderName", name), ("HeaderValue", text))) from error

    # --- answers ---

    def done(self, status: int, *, revision: Revision | None = None, location: str | None = None) -> web.Response:
        """An answer without a body."""
        headers = {"DataServiceId": location or f"{self.base}{self.path}"}
        if revision is not None:
            headers |= revision_headers(revision)
        if location is not None:
            headers["Location"] = location
        return web.Response(status=status, headers=headers)

    def json(
        self, kind: str, body: Mapping[str, Any], *, revision: Revision | None = None, element: bool = True
    ) -> web.Response:
        document = {"odata.metadata": f"{self.base}/$metadata#{kind}{'/@Element' if element else ''}", **body}
        headers = {"DataServiceId": f"{self.base}{self.path}"}
        if revision is not None:
            headers |= revision_headers(revision)
        return web.Response(
            body=json.dumps(document, separators=(",", ":")).encode(), headers={"Content-Type": _JSON, **headers}
        )

    def entity(self, resource: Resource[E], entity: E, revision: Revision | None = None) -> web.Response:
        """One entity, under the request's conditions and $select."""
        if revision is not None:
            self.check(revision)
        body = resource.json(entity, resource.selection(self.query.get("$select")))
        return self.json(resource.name, body, revision=revision)

    def page(
        self, resource: Resource[E], entities: Iterable[E], order: Callable[[E], Any], *, most: int = MAX_PAGE
    ) -> web.Response:
        """A page of a listing: $filter, $select, maxresults, and the skip token of the page before.

        `order` gives each entity a key that grows along `entities`; the token is the last key of a page, so that
        what comes and goes between two pages neither repeats nor hides others.
        """
        select = resource.selection(self.query.get("$select"))
        text = self.query.get("$filter")
        wanted = compile_filter(text, resource.filterable) if text else None
        size = self._page_size(most)
        after = self.query.get("$skiptoken")
        bound = None if after is None else json.loads(after)
        found: list[dict[str, Any]] = []
        last: Any = None
        for entity in entities:
            if bound is not None and order(entity) <= bound:
                continue
            if wanted is not None and not wanted(entity):
                continue
            if len(found) == size:
                return self._page(resource.name, found, json.dumps(last))
            found.append(resource.json(entity, select))
            last = order(entity)
        return self._page(resource.name, found, None)

    def _page_size(self, most: int) -> int:
        text = self.query.get("maxresults")
        if text is None:
            return most
        try:
            size = int(text)
        except ValueError as error:
            raise bad_query("maxresults", text, "It must be a number") from error
        if not 1 <= size <= most:
            raise Refused(
                "OutOfRangeQueryParameterValue",
                values=(
                    ("QueryParameterName", "maxresults"),
                    ("QueryParameterValue", text),
                    ("MinimumAllowed", "1"),
                    ("MaximumAllowed", str(most)),
                ),
            )
        return size

    def _page(self, kind: str, items: list[dict[str, Any]], token: str | None) -> web.Response:
        body: dict[str, Any] = {"value": items}
        if token is not None:
            query = {**self.query, "$skiptoken": token}
            text = "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in query.items())
            body["odata.nextLink"] = f"{self.base}{self.path}?{text}"
        return self.json(kind, body, element=False)


def revision_headers(revision: Revision) -> dict[str, str]:
    return {"ETag": f'"{etag(revision)}"', "Last-Modified": http_date(revision.modified_at)}
