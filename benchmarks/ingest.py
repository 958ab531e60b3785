"""Events through the webhook: how many appends they take, and whether each version ends in exactly one manifest entry.

    python -m benchmarks.ingest [--events 20000] [--concurrency 64]

A real Azurite (in memory) and the function app in the local Functions host, as processes. Half of the events are
repeats; they come shuffled, in deliveries of 1 to 20, so many at once as `--concurrency` says. Then what lies in the
inboxes is cut into manifests by the real dispatcher, and every manifest is read.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from azure.storage.blob.aio import BlobServiceClient

from benchmarks.azurite import Azurite
from benchmarks.host import NO_BATCH, QUIET, host
from pipeline.clients import open_app
from pipeline.inbox import PREFIX
from pipeline.sealing import SEALED, Sealing
from shared import manifest as manifests

ROOT = Path(__file__).resolve().parents[1]
MOST_A_DELIVERY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a round came to."""

    events: int
    versions: int
    deliveries: int
    appends: int
    seconds: float
    entries: Counter[tuple[str, str]]
    """How often each version is in a manifest."""
    expected: frozenset[tuple[str, str]]

    @property
    def right(self) -> bool:
        """Exactly one entry a version, and none too many."""
        return self.entries == Counter(dict.fromkeys(self.expected, 1))

    @property
    def appends_an_event(self) -> float:
        return self.appends / self.events


def main(arguments: list[str] | None = None) -> int:
    """Prints one line; 0 when every version ended in exactly one entry."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with Azurite(ROOT / "node_modules") as azurite, tempfile.TemporaryDirectory() as folder:
        connection = azurite.connection_string
        endpoint = azurite.endpoint
        found = asyncio.run(
            measure(
                connection,
                endpoint,
                Path(folder),
                events=options.events,
                at_once=options.concurrency,
                seed=options.seed,
            )
        )
    print(
        f"events={found.events} versions={found.versions} deliveries={found.deliveries} appends={found.appends} "
        f"appends_an_event={found.appends_an_event:.4f} seconds={found.seconds:.1f} "
        f"events_a_second={found.events / found.seconds:.0f} exactly_once={found.right}"
    )
    return 0 if found.right else 1


async def measure(
    connection: str,
    endpoint: str,
    folder: Path,
    *,
    events: int,
    at_once: int,
    seed: int,
    manifests_in: str = "manifests",
) -> Measured:
    """One round against a storage account that has no containers of ours yet."""
    environ = {
        "STORAGE_CONNECTION_STRING": connection,
        "MANIFESTS_CONTAINER": manifests_in,
        "MANIFEST_MAX_AGE": "0",
        **NO_BATCH,
        **QUIET,
    }
    async with BlobServiceClient.from_connection_string(connection) as service:
        await service.create_container(manifests_in)
        made = _events(events, endpoint, random.Random(seed))
        deliveries = _deliveries(made, random.Random(seed + 1))
        async with host(environ, folder) as running:
            webhook = f"{running.url}/runtime/webhooks/EventGrid?functionName=ingest&code={running.event_grid_key}"
            began = time.perf_counter()
            await _post(webhook, deliveries, at_once)
            seconds = time.perf_counter() - began
        container = service.get_container_client(manifests_in)
        appends = 0
        async for blob in container.list_blobs(name_starts_with=PREFIX):
            properties = await container.get_blob_client(blob.name).get_blob_properties()
            appends += properties.append_blob_committed_block_count or 0
        entries = await _cut(environ)
    expected = frozenset((event["subject"].split("/blobs/", 1)[1], event["data"]["eTag"]) for event in made)
    return Measured(
        events=len(made),
        versions=len(expected),
        deliveries=len(deliveries),
        appends=appends,
        seconds=seconds,
        entries=entries,
        expected=expected,
    )


def _events(count: int, endpoint: str, dice: random.Random) -> list[dict[str, Any]]:
    """`count` events of half as many versions: each comes twice, shuffled."""
    fresh = [_event(number, endpoint) for number in range(count // 2)]
    events = fresh + fresh[: count - len(fresh)]
    dice.shuffle(events)
    return events


def _event(number: int, endpoint: str) -> dict[str, Any]:
    name = f"{number % 97}/{number}.jpg"
    return {
        "id": f"00000000-0000-0000-0000-{number:012d}",
        "topic": "/subscriptions/x",
        "subject": f"/blobServices/default/containers/images/blobs/{name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-01-02T03:04:05.1234567Z",
        "data": {
            "api": "PutBlob",
            "eTag": f"0x8DD{number:012X}",
            "contentLength": 500_000,
            "url": f"{endpoint}/images/{name}",
            "sequencer": f"{number:032x}",
        },
        "dataVersion": "",
        "metadataVersion": "1",
    }


def _deliveries(events: Sequence[dict[str, Any]], dice: random.Random) -> list[list[dict[str, Any]]]:
    deliveries, start = [], 0
    while start < len(events):
        size = dice.randint(1, MOST_A_DELIVERY)
        deliveries.append(list(events[start : start + size]))
        start += size
    return deliveries


async def _post(webhook: str, deliveries: Sequence[list[dict[str, Any]]], at_once: int) -> None:
    """Posts every delivery until it is accepted, `at_once` of them at a time, as Event Grid does."""
    waiting = list(reversed(deliveries))
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, headers={"aeg-event-type": "Notification"}) as session:

        async def sender() -> None:
            while waiting:
                delivery = waiting.pop()
                async with session.post(webhook, json=delivery) as answer:
                    if answer.status >= 300:
                        waiting.insert(0, delivery)

        await asyncio.gather(*(sender() for _ in range(at_once)))


async def _cut(environ: dict[str, str]) -> Counter[tuple[str, str]]:
    """Seals what has come with the real dispatcher; how often each version is in a manifest."""
    entries: Counter[tuple[str, str]] = Counter()
    async with open_app(environ) as app:
        sealing = Sealing(manifests=app.manifests, settings=app.settings.pipeline, now=app.now, new_id=app.new_id)
        while await sealing.step(everything=True) is not None:
            pass
        async for page in app.manifests.pages(SEALED):
            for blob in page.blobs:
                manifest = manifests.from_bytes((await app.manifests.read(blob.name)).data, where=blob.name)
                entries.update(entry.key for entry in manifest.entries)
    return entries


if __name__ == "__main__":
    sys.exit(main())
