"""The worker against its peers: conversion on one core, all cores, memory, and a manifest end to end.

`python -m benchmarks` prints the tables; `--write` puts them into docs/performance.md, with the chart. Contests are
paired: everyone takes turns on every picture in one run, so the ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import features

from benchmarks import contest, corpus, node
from benchmarks.chart import chart
from benchmarks.contest import BASE, Score
from benchmarks.corpus import Picture, megapixels
from benchmarks.page import between, write_between
from benchmarks.table import Table

PAGE = corpus.ROOT / "docs/performance.md"
CHART = corpus.ROOT / "docs/performance.svg"
SPEED = "Darkroom, speed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A section of the report."""

    title: str
    text: str


def main(arguments: list[str]) -> int:
    """Measures and prints; with --write also keeps the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks worker", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contestant on every picture")
    parser.add_argument("--only", choices=["contest", "cores", "memory", "manifest"], help="one part alone")
    options = parser.parse_args(arguments)
    if options.write:
        between(PAGE, "worker")  # no mark is missing: better known before all that is measured
    parts: list[Part] = []
    wanted: dict[str, Callable[[], list[Part]]] = {
        "contest": lambda: _contests(options.rounds, draw=options.write),
        "cores": lambda: [Part(title="All cores", text=node.cores(corpus.photos(), corpus.synthetic()))],
        "memory": lambda: [Part(title="Memory", text=node.memory())],
        "manifest": lambda: [Part(title="A manifest, end to end", text=node.manifest(corpus.synthetic()))],
    }
    for name, measure in wanted.items():
        if options.only in (None, name):
            for part in measure():
                print(f"\n### {part.title}\n\n{part.text}", flush=True)
                parts.append(part)
    if options.write:
        text = "\n\n".join([_machine(), *(f"### {part.title}\n\n{part.text}" for part in parts)])
        write_between(PAGE, "worker", text)
    return 0


def _contests(rounds: int, *, draw: bool) -> list[Part]:
    photos, synthetic, pages = corpus.photos(), corpus.synthetic(), corpus.pages()
    baseline = [picture for picture in photos if not picture.progressive]
    progressive = [picture for picture in photos if picture.progressive]
    of_photos = contest.hold(photos, rounds=rounds, ours=True)
    of_synthetic = contest.hold(synthetic, rounds=rounds)
    of_pages = contest.hold(pages, rounds=rounds, ours=True)
    if draw:
        CHART.write_text(chart(of_photos, megapixels(photos)), encoding="utf-8")
    kinds = (("Photographs", photos), ("Baseline ones of them", baseline), ("Progressive ones of them", progressive))
    return [
        *(Part(title=f"{title}, one core ({_volume(of)})", text=_table(of_photos, of)) for title, of in kinds if of),
        Part(
            title=f"800 x 600 synthetic images, one core ({_volume(synthetic)})", text=_table(of_synthetic, synthetic)
        ),
        Part(title=f"Text-like pages, one core ({_volume(pages)})", text=_table(of_pages, pages)),
    ]


def _table(scores: dict[str, Score], pictures: list[Picture]) -> str:
    table = Table(["way", "MP/s", "images/s", "x Pillow's default", "bytes", "peak memory"])
    of_these = {name: score.on(pictures) for name, score in scores.items()}
    base = of_these[BASE]
    for name, score in sorted(of_these.items(), key=lambda item: item[1].total()):
        seconds = score.total()
        table.add(
            name,
            f"{megapixels(pictures) / seconds:.1f}",
            f"{len(pictures) / seconds:.1f}",
            f"{contest.ratio(base, score):.2f}",
            f"{score.size() / base.size():.3f}",
            f"{score.peak / 1e6:.0f} MB",
        )
    return table.text()


def _volume(pictures: list[Picture]) -> str:
    return f"{len(pictures)} files, {megapixels(pictures):.1f} MP"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        found = re.search(r"model name\s*: (.*)", facts.read_text(encoding="utf-8"))
        model = found.group(1) if found else model
    jpeg = features.version("libjpeg_turbo")
    return (
        f"Measured on {os.cpu_count()} cores of {model}, Python {platform.python_version()}, "
        f"Pillow {PIL.__version__} with libjpeg-turbo {jpeg}."
    )
