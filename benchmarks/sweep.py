"""A sweep of many images against what listing the two containers takes: time, ratio, memory.

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
from pathlib import Path

from benchmarks.azurite import Azurite
from benchmarks.filling import filler

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark, or (with --child) one of its parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--missing", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=("list", "sweep"))
    parser.add_argument("--connection-string", default="")
    options = parser.parse_args(arguments)
    if options.child:
        part = {"list": _list, "sweep": _sweep}[options.child]
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


def _report(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> None:
    listing = statistics.median(a["seconds"] for a, _ in pairs)
    sweeping = statistics.median(b["seconds"] for _, b in pairs)
    ratios = sorted(b["seconds"] / a["seconds"] for a, b in pairs)
    print(f"listing the two containers: {listing:.1f} s; sweep: {sweeping:.1f} s")
    print(f"ratio sweep/listing: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"peak memory of the sweeping process: {max(b['peak_mb'] for _, b in pairs):.0f} MB")
    print(f"found: {pairs[-1][1]['counts']}")


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


async def _fill(endpoint: str, images: int, missing: int) -> None:
    async with filler(endpoint) as filling:
        await filling.containers()
        await filling.images(images, missing=missing)


if __name__ == "__main__":
    main()
