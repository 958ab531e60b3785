"""Fills a storage account quickly: signed PUTs without an SDK, many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import aiohttp

from benchmarks.azurite import ACCOUNT, KEY
from localcloud.azurite.sharedkey import authorization
from shared.naming import source_label

AT_ONCE = 24
CONTAINERS = ("images", "converted", "manifests", "quarantine", "outcomes")


class Filler:
    """PUTs to one account. `etags` knows what each path came to."""

    def __init__(self, endpoint: str, session: aiohttp.ClientSession) -> None:
        self._base = endpoint.removesuffix(f"/{ACCOUNT}")
        self._session = session
        self._limit = asyncio.Semaphore(AT_ONCE)
        self.etags: dict[str, str] = {}

    async def put(self, path: str, body: bytes, **more: str) -> None:
        """A block blob at container/name; a container where there is no body."""
        headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2021-12-02", **more}
        if body:
            headers |= {"Content-Length": str(len(body)), "x-ms-blob-type": "BlockBlob"}
        query = {} if body else {"restype": "container"}
        where = f"/{ACCOUNT}/{quote(path)}"
        headers["Authorization"] = authorization("PUT", where, query, headers, account=ACCOUNT, key=KEY)
        asked = self._session.put(
            self._base + where, params=query, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        )
        async with self._limit, asked as answer:
            if answer.status != 201:
                raise RuntimeError(f"PUT {path}: {answer.status} {await answer.text()}")
            self.etags[path] = answer.headers["ETag"].strip('"')

    async def containers(self) -> None:
        """Makes the containers of the application."""
        for container in CONTAINERS:
            await self.put(container, b"")

    async def images(self, count: int, *, missing: int) -> None:
        """`count` images in a hundred folders, and a PNG for each but the first `missing`."""
        names = [f"{number % 100:02d}/photo-{number:06d}.jpg" for number in range(count)]
        await each(self.put(f"images/{name}", b"jpg") for name in names)
        await each(
            self.put(
                f"converted/{name.removesuffix('.jpg')}.png",
                b"png",
                **{"x-ms-meta-source": source_label(name), "x-ms-meta-source_etag": self.etags[f"images/{name}"]},
            )
            for name in names[missing:]
        )


async def each(work: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Awaits all, a thousand at a time."""
    some: list[Coroutine[Any, Any, object]] = []
    for one in work:
        some.append(one)
        if len(some) == 1000:
            await asyncio.gather(*some)
            some = []
    await asyncio.gather(*some)


@asynccontextmanager
async def filler(endpoint: str) -> AsyncIterator[Filler]:
    """A Filler for the account at `endpoint`."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        yield Filler(endpoint, session)
