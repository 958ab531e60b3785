"""Darkroom.ManifestCompleted on a custom topic, through the real publisher client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from azure.core.credentials import AzureKeyCredential
from azure.eventgrid.aio import EventGridPublisherClient

from pipeline.clients import open_app
from pipeline.completed import TopicPublisher
from pipeline.summary import Summary
from shared.errors import RetryableError, SettingsError
from tests.fakes.world import World

SUMMARY = Summary(
    manifest="20260102T000000-1-0000",
    job="darkroom-20260102",
    end="succeeded",
    created="2026-01-02T00:00:00+00:00",
    closed="2026-01-02T00:01:00+00:00",
    images=2,
    counts={"converted": 2},
    bytes_in=10,
    bytes_out=20,
    pixels=30,
    milliseconds=40,
    attempts=0,
    runs=1,
    node="node-1",
    exit_code=0,
)


class Topic:
    """Takes what is posted to it, or refuses."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.status = 200
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.events += await request.json()
            self.keys.append(request.headers.get("aeg-sas-key", ""))
        return web.Response(status=self.status)


@pytest.fixture
async def topic() -> AsyncIterator[Topic]:
    found = Topic()
    application = web.Application()
    application.router.add_post("/api/events", found.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/events"
    yield found
    await runner.cleanup()


async def test_a_closed_manifest_is_told_with_its_summary_under_an_id_that_repeats_share(topic: Topic) -> None:
    async with EventGridPublisherClient(topic.url, AzureKeyCredential("key")) as client:
        for _ in range(2):
            await TopicPublisher(client).completed(SUMMARY)
    first, second = topic.events
    assert first["id"] == second["id"] == SUMMARY.manifest
    assert first["eventType"] == "Darkroom.ManifestCompleted"
    assert first["data"]["counts"] == {"converted": 2}
    assert topic.keys == ["key", "key"]


async def test_a_topic_that_refuses_is_a_retryable_error(topic: Topic) -> None:
    topic.status = 403
    async with EventGridPublisherClient(topic.url, AzureKeyCredential("key"), retry_total=0) as client:
        with pytest.raises(RetryableError, match="did not take the event"):
            await TopicPublisher(client).completed(SUMMARY)


async def test_a_topic_that_is_away_holds_up_no_manifest_and_is_told() -> None:
    class Away:
        async def completed(self, summary: Summary) -> None:
            raise RetryableError("the topic is away")

    world = World()
    await world.app().inbox.add([await world.drop("a.jpg")], deadline=5)
    await world.app().dispatch()
    (manifest,) = world.open_manifests()
    await world.work(manifest)
    world.batch.finish(manifest.id)
    app = world.app()
    app.publisher = Away()
    seen = await app.collect()
    assert world.open_manifests() == []
    assert seen["events_unpublished"] == 1


async def test_on_azure_the_app_opens_by_identity_without_any_key() -> None:
    environ = {
        "STORAGE_ACCOUNT_URL": "https://photos.blob.core.windows.net",
        "BATCH_ENDPOINT": "https://photos.westeurope.batch.azure.com",
        "EVENTGRID_TOPIC_ENDPOINT": "https://t.westeurope-1.eventgrid.azure.net/api/events",
    }
    async with open_app(environ) as app:
        assert app.settings.storage.account_url == environ["STORAGE_ACCOUNT_URL"]
        assert app.publisher is not None


async def test_an_app_with_a_wrong_setting_does_not_open() -> None:
    async def opened() -> None:
        async with open_app({"STORAGE_ACCOUNT_URL": "https://photos.blob.core.windows.net"}):
            pass

    with pytest.raises(SettingsError, match="BATCH_ENDPOINT"):
        await opened()
