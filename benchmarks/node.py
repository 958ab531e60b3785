"""The worker as a node runs it: all cores, its memory, a manifest against a real Azurite."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob.aio import BlobServiceClient
from PIL import Image

from benchmarks.azurite import Azurite
from benchmarks.corpus import CACHE, ROOT, Picture, megapixels
from benchmarks.table import Table
from shared.manifest import Entry, Manifest, to_bytes
from shared.naming import Naming, normal_etag
from shared.worker_settings import ConversionSettings
from worker.converters import Converters

_IMAGES = 400
_MB = 1_000_000


def cores(photos: list[Picture], synthetic: list[Picture]) -> str:
    """How much faster all converting processes are than one: paired rounds, PNGs brought home to this process."""
    count = len(os.sched_getaffinity(0))
    table = Table(["images", "one process, MP/s", f"{count} processes, MP/s", "ratio (median of pairs)"])
    for name, pictures in (("photographs", photos), ("800 x 600", synthetic * 10)):
        with_one, with_all = Converters(1, ConversionSettings()), Converters(count, ConversionSettings())
        try:
            pairs = [(_all(with_one, pictures), _all(with_all, pictures)) for _ in range(4)][1:]
        finally:
            with_one.close()
            with_all.close()
        volume = megapixels(pictures)
        one, several = (min(pair[side] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
        table.add(name, f"{volume / one:.1f}", f"{volume / several:.1f}", f"{ratio:.2f}")
    return table.text()


def _all(converters: Converters, pictures: list[Picture]) -> float:
    """Seconds for all pictures, as many at a time as there are processes."""
    started = time.perf_counter()
    with ThreadPoolExecutor(converters.count) as threads:
        for png in threads.map(lambda picture: converters.convert(picture.path.read_bytes()), pictures):
            assert png.size
    return time.perf_counter() - started


@dataclass(slots=True)
class _Watch:
    """Samples the memory of a process and its children: proportional set sizes, shared pages counted once."""

    pid: int
    peak: int = 0
    ended: bool = False

    def run(self) -> None:
        while not self.ended:
            self.peak = max(self.peak, sum(_pss(pid) for pid in _family(self.pid)))
            time.sleep(0.01)


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [pid, *map(int, children)]


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def memory() -> str:
    """Peak memory of a whole node's worker, all processes together, on manifests of large images."""
    table = Table(["images", "pixels in flight", "peak, all processes", "120 MB + 8 bytes a pixel"])
    for name, progressive in (("24 MP", False), ("24 MP, progressive", True)):
        path = _large(progressive=progressive)
        flight = 24_000_000 * len(os.sched_getaffinity(0))
        done = _run([path.read_bytes()], 6, {"WORKER_PIXELS_IN_FLIGHT": str(flight)})
        bound = 120 * _MB + 8 * flight
        table.add(name, f"{flight / 1e6:.0f} MP", f"{done.peak / _MB:.0f} MB", f"{bound / _MB:.0f} MB")
    idle = _run([(ROOT / "tests/data/jpeg/odd/dim_8x8.jpg").read_bytes()], 50, {})
    table.add("8 x 8 pixels", "0 MP", f"{idle.peak / _MB:.0f} MB", "120 MB")
    return table.text()


def _large(*, progressive: bool) -> Path:
    """A photograph of 6000 x 4000 pixels, made of a smaller one."""
    path = CACHE / f"large-{'progressive' if progressive else 'baseline'}.jpg"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with Image.open(ROOT / "tests/data/jpeg/odd/orient_Landscape_1.jpg") as photo:
            photo.resize((6000, 4000)).save(path, quality=88, progressive=progressive)
    return path


def manifest(synthetic: list[Picture]) -> str:
    """One task on 800 x 600 images: images a second of the run, and what its start costs."""
    done = _run([picture.path.read_bytes() for picture in synthetic], _IMAGES, {})
    table = Table(["what", "value"])
    table.add("images", str(_IMAGES))
    table.add("images a second (Azurite on the same cores)", f"{_IMAGES / done.summary_seconds:.0f}")
    table.add("processor time of the worker, an image", f"{done.cpu / _IMAGES * 1000:.1f} ms")
    table.add("from start to first image's line", f"{done.first_line:.2f} s")
    return table.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What a run of a task told."""

    summary_seconds: float
    first_line: float
    cpu: float
    """Processor seconds, the converting processes included."""
    peak: int


def _run(files: list[bytes], count: int, environ: dict[str, str]) -> _Done:
    with Azurite(ROOT / "node_modules") as azurite:
        asyncio.run(_prepare(azurite, files, count))
        environ = os.environ | environ
        environ |= {"STORAGE_CONNECTION_STRING": azurite.connection_string, "DARKROOM_MANIFEST": "sealed/bench.json"}
        started = time.monotonic()
        command = [sys.executable, "-m", "worker", "--log", "json"]
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
            watch = _Watch(process.pid)
            watcher = threading.Thread(target=watch.run)
            watcher.start()
            assert process.stdout is not None
            first, lines = 0.0, []
            for line in process.stdout:
                first = first or time.monotonic() - started
                lines.append(json.loads(line))
            watch.ended = True
            watcher.join()
            _, status, usage = os.wait4(process.pid, 0)  # its converting processes are in there: it has waited for them
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or lines[-1].get("converted") != count:
        raise SystemExit(f"the worker ended with {process.returncode}: {lines[-1]}")
    return _Done(
        summary_seconds=lines[-1]["seconds"],
        first_line=first,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=watch.peak,
    )


async def _prepare(azurite: Azurite, files: list[bytes], count: int) -> None:
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for container in ("images", "converted", "manifests", "outcomes"):
            await service.create_container(container)
        entries = []
        for number in range(count):
            data = files[number % len(files)]
            answer = await service.get_blob_client("images", f"{number:05}.jpg").upload_blob(data)
            entries.append(Entry(name=f"{number:05}.jpg", etag=normal_etag(answer["etag"]), size=len(data)))
        manifest_ = Manifest(id="bench", created="2026-01-01T00:00:00Z", naming=Naming.REPLACE, entries=tuple(entries))
        await service.get_blob_client("manifests", "sealed/bench.json").upload_blob(to_bytes(manifest_))


def main(arguments: list[str]) -> int:
    """Memory alone: `python -m benchmarks node`."""
    argparse.ArgumentParser(prog="python -m benchmarks node", description=__doc__).parse_args(arguments)
    print(memory())
    return 0
