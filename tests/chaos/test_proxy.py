"""The proxy leaves messages as they are, and each fault does to both sides exactly what its name says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import BlobServiceClient
from yarl import URL

from tests.chaos.proxy import Dialect, FaultProxy
from tests.chaos.weather import Fault, Rule, Weather

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Service:
    """Writes down what reaches it, and answers with what it was told."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, body))
        self.hosts.append(request.headers["Host"])
        if request.path == "/chunked":
            answer = web.StreamResponse()
            answer.enable_chunked_encoding()
            await answer.prepare(request)
            for _ in range(3):
                await answer.write(b"x" * 1000)
            await answer.write_eof()
            return answer
        return web.Response(body=b"y" * 1000)


@dataclass(frozen=True)
class Bench:
    """A service, the proxy before it, and a client's URL."""

    service: Service
    weather: Weather
    url: str


@asynccontextmanager
async def bench(*rules: Rule, dialect: Dialect = Dialect.STORAGE) -> AsyncIterator[Bench]:
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", service.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        weather = Weather(seed=3, rules=rules, longest_delay=0.01)
        async with FaultProxy(upstream_port=port, weather=weather, dialect=dialect) as proxy:
            yield Bench(service=service, weather=weather, url=f"http://127.0.0.1:{proxy.port}")
    finally:
        await runner.cleanup()


def always(fault: Fault) -> Rule:
    return Rule(fault=fault, rate=1.0)


async def test_path_query_body_and_host_arrive_as_sent() -> None:
    async with bench() as b, aiohttp.ClientSession() as client:
        target = "/c/a%20b%2F%C3%A9'(1)?comp=block&x=%2B"
        async with client.put(URL(b.url + target, encoded=True), data=b"12345") as answer:
            assert (answer.status, await answer.read()) == (200, b"y" * 1000)
        assert b.service.seen == [("PUT", target, b"12345")]
        assert b.service.hosts == [b.url.removeprefix("http://")]


async def test_chunked_answers_and_answers_to_head_pass() -> None:
    async with bench() as b, aiohttp.ClientSession() as client:
        for _ in range(3):
            async with client.get(b.url + "/chunked") as answer:
                assert await answer.read() == b"x" * 3000
            async with client.head(b.url + "/") as answer:
                assert answer.headers["Content-Length"] == "1000"


@pytest.mark.parametrize(
    ("fault", "arrivals"),
    [(Fault.DROP, 0), (Fault.CUT_REQUEST, 0), (Fault.LOSE_ANSWER, 1), (Fault.CUT_ANSWER, 1)],
)
async def test_a_broken_connection_is_an_error_to_the_client(fault: Fault, arrivals: int) -> None:
    """The request took place, or did not, and the client sees the same: no answer. (POST: aiohttp repeats a PUT.)"""
    async with bench(always(fault)) as b, aiohttp.ClientSession() as client:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            async with client.post(b.url + "/a", data=b"z" * 10_000) as answer:
                await answer.read()
        assert len(b.service.seen) == arrivals
        assert b.weather.injected == {fault: 1}


@pytest.mark.parametrize(
    ("fault", "status", "later", "arrivals"),
    [
        (Fault.TOO_MANY, 429, None, 0),
        (Fault.TOO_MANY_LATER, 429, "1", 0),
        (Fault.INTERNAL, 500, None, 0),
        (Fault.BUSY, 503, None, 0),
        (Fault.BUSY_LATER, 503, "1", 0),
        (Fault.FALSE_ERROR, 500, None, 1),
    ],
)
async def test_a_refusal_speaks_the_service_language(
    fault: Fault, status: int, later: str | None, arrivals: int
) -> None:
    async with bench(always(fault), dialect=Dialect.BATCH) as b, aiohttp.ClientSession() as client:
        async with client.post(b.url + "/jobs", data=b"{}") as answer:
            body = await answer.json()
            assert answer.status == status
            assert answer.headers.get("Retry-After") == later
            assert body["code"] == answer.headers["x-ms-error-code"]
        assert len(b.service.seen) == arrivals


async def test_a_duplicate_arrives_twice_and_a_delay_once() -> None:
    async with bench(Rule(fault=Fault.DUPLICATE, rate=1.0, method="PUT"), always(Fault.DELAY)) as b:
        async with aiohttp.ClientSession() as client:
            await (await client.put(b.url + "/a", data=b"1")).read()
            await (await client.get(b.url + "/b")).read()
        assert [(method, path) for method, path, _ in b.service.seen] == [("PUT", "/a"), ("PUT", "/a"), ("GET", "/b")]


async def test_a_service_that_is_away_is_a_reset_and_not_a_hang() -> None:
    weather = Weather(seed=1)
    proxy = FaultProxy(upstream_port=1, weather=weather, dialect=Dialect.BATCH)
    async with proxy, aiohttp.ClientSession() as client:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await client.get(f"http://127.0.0.1:{proxy.port}/")


def storage(proxy: FaultProxy, *, retries: int) -> BlobServiceClient:
    endpoint = f"http://127.0.0.1:{proxy.port}/{ACCOUNT}"
    return BlobServiceClient(endpoint, credential={"account_name": ACCOUNT, "account_key": KEY}, retry_total=retries)


@pytest.mark.azurite
async def test_signatures_and_hostile_names_pass_to_real_storage(azurite_port: int) -> None:
    names = ["a b.jpg", "100% ü.jpg", "a'b\"c+&?#.jpg", "😀/x y.jpg", ".hidden", "n" * 1000 + ".jpg"]
    weather = Weather(seed=1)
    proxy = FaultProxy(upstream_port=azurite_port, weather=weather, dialect=Dialect.STORAGE)
    async with proxy, storage(proxy, retries=0) as service:
        container = await service.create_container("proxy-names")
        for name in names:
            await container.upload_blob(name, name.encode())
        assert sorted([blob.name async for blob in container.list_blobs(results_per_page=2)]) == sorted(names)
        for name in names:
            stream = await container.download_blob(name)
            assert await stream.readall() == name.encode()
        await service.delete_container("proxy-names")


@pytest.mark.azurite
async def test_a_lost_answer_leaves_the_write_in_real_storage(azurite_port: int) -> None:
    """The client sees an error, the blob is there: what every conditional write must live with."""
    weather = Weather(seed=1)
    proxy = FaultProxy(upstream_port=azurite_port, weather=weather, dialect=Dialect.STORAGE)
    async with proxy, storage(proxy, retries=0) as service:
        container = await service.create_container("proxy-lost")
        weather.set_rules([Rule(fault=Fault.LOSE_ANSWER, rate=1.0, method="PUT")])
        with pytest.raises(AzureError):
            await container.upload_blob("a", b"1")
        weather.set_rules(())
        with pytest.raises(ResourceExistsError):
            await container.upload_blob("a", b"2")
        await service.delete_container("proxy-lost")
