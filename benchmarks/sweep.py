"""A sweep of many images against what listing the two containers takes: time, ratio, memory; and a status beside it.

    python -m benchmarks.sweep [--images 100000] [--missing 5000] [--rounds 3]

Fills a real Azurite (in memory), then runs, in turn and each in a process of its own, (A) plain listings of
`images` and `converted` (with metadata) through the storage SDK, one after the other, and (B) a dry sweep with the
function app's own modules loaded. Prints the median seconds of both, their ratio pair by pair, and the peak memory
of the sweeping process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import aiohttp

from benchmarks.azurite import ACCOUNT, KEY, Azurite
from localcloud.azurite.sharedkey import authorization
from shared.naming import source_label

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 24


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark, or (with --child) one of its parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--missing", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=("list", "sweep", "status"))
    parser.add_argument("--connection-string", default="")
    options = parser.parse_args(arguments)
    if options.child:
        part = {"list": _list, "sweep": _sweep, "status": _status}[options.child]
        print(json.dumps(asyncio.run(part(options.connection_string)) | {"peak_mb": _peak_mb()}))
        return
    with Azurite(ROOT / "node_modules") as azurite:
        began = time.perf_counter()
        asyncio.run(_fill(azurite.endpoint, options.images, options.missing))
        print(
            f"filled {options.images} images, {options.images - options.missing} PNGs "
            f"in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        _report([(_child("list", azurite), _child("sweep", azurite)) for _ in range(options.rounds)])
        _report_status(_child("status", azurite))


def _report(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> None:
    listing = statistics.median(a["seconds"] for a, _ in pairs)
    sweeping = statistics.median(b["seconds"] for _, b in pairs)
    ratios = sorted(b["seconds"] / a["seconds"] for a, b in pairs)
    print(f"listing the two containers: {listing:.1f} s; sweep: {sweeping:.1f} s")
    print(f"ratio sweep/listing: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"peak memory of the sweeping process: {max(b['peak_mb'] for _, b in pairs):.0f} MB")
    print(f"found: {pairs[-1][1]['counts']}")


def _report_status(answer: dict[str, float]) -> None:
    print(f"status: {answer['status']:.2f} s; the page's data: {answer['page']:.2f} s (slowest of three)")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(part: str, azurite: Azurite) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.sweep",
        "--child",
        part,
        "--connection-string",
        azurite.connection_string,
    ]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    answer: dict[str, float] = json.loads(output.splitlines()[-1])
    return answer


async def _list(connection_string: str) -> dict[str, object]:
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 (only in the child)

    began = time.perf_counter()
    seen = 0
    async with BlobServiceClient.from_connection_string(connection_string) as service:
        for name, include in (("images", None), ("converted", ["metadata"])):
            async for _ in service.get_container_client(name).list_blobs(include=include):
                seen += 1
    return {"seconds": time.perf_counter() - began, "seen": seen}


async def _sweep(connection_string: str) -> dict[str, object]:
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 (only in the child)

    import function_app  # noqa: F401, PLC0415 (its memory is part of what is measured)
    from pipeline.azure_storage import AzureContainer  # noqa: PLC0415
    from pipeline.inbox import Inbox  # noqa: PLC0415
    from pipeline.sweep import Sweep  # noqa: PLC0415
    from shared.app_settings import PipelineSettings  # noqa: PLC0415

    began = time.perf_counter()
    async with BlobServiceClient.from_connection_string(connection_string) as service:
        manifests, images, converted, quarantine = (
            AzureContainer(service.get_container_client(name))
            for name in ("manifests", "images", "converted", "quarantine")
        )
        sweep = Sweep(
            images=images,
            converted=converted,
            quarantine=quarantine,
            manifests=manifests,
            inbox=Inbox(container=manifests, process="benchmark"),
            settings=PipelineSettings(),
            now=lambda: datetime.now(UTC),
        )
        report = await sweep.run(dry_run=True, min_age=0, deadline=3600)
    return {"seconds": time.perf_counter() - began, "counts": report.counts}


async def _status(connection_string: str) -> dict[str, object]:
    """Seconds of a status and of the page's data, each the slowest of three, past any memory of earlier answers."""
    from pipeline.clients import open_app  # noqa: PLC0415
    from pipeline.dashboard.dashboard import Dashboard  # noqa: PLC0415

    environ = {"STORAGE_CONNECTION_STRING": connection_string}
    environ |= {"BATCH_ENDPOINT": "http://127.0.0.1:1", "BATCH_ACCOUNT": "none", "BATCH_KEY": "bm9uZQ=="}
    slowest = {"status": 0.0, "page": 0.0}
    async with open_app(environ) as app:
        for _ in range(3):
            began = time.perf_counter()
            await app.status()
            slowest["status"] = max(slowest["status"], time.perf_counter() - began)
            began = time.perf_counter()
            await Dashboard(app=app).data()
            slowest["page"] = max(slowest["page"], time.perf_counter() - began)
    return {"seconds": sum(slowest.values()), **slowest}


async def _fill(endpoint: str, images: int, missing: int) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def put(path: str, body: bytes, **more: str) -> None:
            headers = {
                "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
                "x-ms-version": "2021-12-02",
                **more,
            }
            if body:
                headers |= {"Content-Length": str(len(body)), "x-ms-blob-type": "BlockBlob"}
            query = {} if body else {"restype": "container"}
            where = f"/{ACCOUNT}/{quote(path)}"
            headers["Authorization"] = authorization("PUT", where, query, headers, account=ACCOUNT, key=KEY)
            url = endpoint.removesuffix(f"/{ACCOUNT}") + where
            async with (
                limit,
                session.put(
                    url, params=query, data=body, headers=headers, skip_auto_headers=["Content-Type"]
                ) as answer,
            ):
                if answer.status != 201:
                    raise RuntimeError(f"PUT {path}: {answer.status} {await answer.text()}")
                etags[path] = answer.headers["ETag"].strip('"')

        etags: dict[str, str] = {}
        for container in ("images", "converted", "manifests", "quarantine", "outcomes"):
            await put(container, b"")
        names = [f"{number % 100:02d}/photo-{number:06d}.jpg" for number in range(images)]
        await _each([put(f"images/{name}", b"jpg") for name in names])
        await _each(
            [
                put(
                    f"converted/{name.removesuffix('.jpg')}.png",
                    b"png",
                    **{"x-ms-meta-source": source_label(name), "x-ms-meta-source_etag": etags[f"images/{name}"]},
                )
                for name in names[missing:]
            ]
        )


async def _each(work: list[object]) -> None:
    for start in range(0, len(work), 1000):
        await asyncio.gather(*work[start : start + 1000])  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
