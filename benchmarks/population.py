"""A system in the middle of its work, as a status finds it: states, journals, inboxes, manifests, outcomes, archives.

Beside the images and PNGs: 2,000 closed manifests with their outcomes over three days, 40 manifests in flight (of which
30 have outcomes, and one is stuck since yesterday), inboxes, 400 quarantined images, a day of both journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime, timedelta

from pipeline import summary as summaries
from pipeline.app import App
from pipeline.collect import LAST_CLOSED
from pipeline.inbox import PREFIX
from pipeline.journal import JOURNAL, Line, StageState, to_line
from pipeline.open_manifest import CLOSED, KNOWN, MEMORY, noted
from pipeline.quarantine import QUARANTINE
from pipeline.sealing import SEALED
from pipeline.storage import Container, listed
from pipeline.summary import Summary
from shared import arrival as arrivals
from shared import manifest as manifests
from shared import outcome as outcomes
from shared import quarantine as quarantines
from shared.arrival import Arrival
from shared.manifest import Entry, Manifest
from shared.naming import Naming
from shared.outcome import Outcome, Result
from shared.quarantine import Quarantined

DONE, OPEN, QUARANTINED = 2_000, 40, 400
IMAGES = 500
"""Images of a manifest in flight."""
JOB = "darkroom-benchmark"
SEEN = {"tasks": {"active": 30, "running": 10}, "pool": {"exists": True, "nodes": {"running": 10}}}
AT_ONCE = 16


async def populate(app: App) -> None:
    """Writes all of it, with the application's own documents."""
    now = app.now()
    closed = [_id(now - timedelta(seconds=600 + 120 * number), 2**31 + number, 0) for number in range(DONE)]
    work = [_closed(app, one, now) for one in closed]
    work += [_quarantined(app, number, now) for number in range(QUARANTINED)]
    begun = [now - timedelta(minutes=3 * (number // 10)) for number in range(OPEN)]
    begun[0] = now - timedelta(hours=26)
    work += [_open(app, _id(at, number // 10, number % 10), number, at) for number, at in enumerate(begun)]
    work += [_inbox(app, number, now) for number in range(3)]
    limit = asyncio.Semaphore(AT_ONCE)

    async def bounded(one: Awaitable[None]) -> None:
        async with limit:
            await one

    await asyncio.gather(*(bounded(one) for one in work))
    await run_stages(app, closed)
    await _journal(app, "dispatch", now, {"arrivals": 60.0, "open_images": 20_000.0, "nodes_running": 10.0})
    await _journal(app, "collect", now, {"converted": 60.0, "rejected": 1.0})


def _id(at: datetime, plan: int, number: int) -> str:
    return f"{at:%Y%m%dT%H%M%S}-{plan:08x}-{number:04}"


async def _closed(app: App, manifest: str, now: datetime) -> None:
    await app.outcomes.create(f"{manifest}/r1.jsonl", b"".join(_outcome(manifest, n, now) for n in range(20)))
    summary = Summary(
        manifest=manifest,
        job=JOB,
        end="succeeded",
        created=now.isoformat(),
        closed=now.isoformat(),
        images=20,
        counts={"converted": 20},
        bytes_in=1,
        bytes_out=1,
        pixels=1,
        milliseconds=1,
        attempts=0,
        runs=1,
        node="node",
        exit_code=0,
    )
    await app.manifests.create(summaries.archive_name(manifest), summaries.to_bytes(summary), metadata={"images": "20"})


async def _open(app: App, manifest: str, number: int, at: datetime) -> None:
    entries = tuple(Entry(name=_name(manifest, n), etag="0x8DD", size=500_000) for n in range(IMAGES))
    sealed = Manifest(id=manifest, created=at.isoformat(), naming=Naming.REPLACE, entries=entries)
    metadata = {"images": str(IMAGES), "bytes": str(IMAGES * 500_000), "job": JOB, "submitted": at.isoformat()}
    await app.manifests.create(f"{SEALED}{manifest}.json", manifests.to_bytes(sealed), metadata=metadata)
    done = max(0, IMAGES - 16 * number)  # the oldest are furthest
    if done:
        lines = b"".join(_outcome(manifest, n, at) for n in range(done))
        await app.outcomes.create(f"{manifest}/r1.jsonl", lines)


def _name(manifest: str, number: int) -> str:
    return f"holiday/{manifest}/photo-{number:06d}.jpg"


def _outcome(manifest: str, number: int, at: datetime) -> bytes:
    name = _name(manifest, number)
    png = name.removesuffix(".jpg") + ".png"
    return outcomes.to_line(
        Outcome(
            name=name,
            etag="0x8DD",
            result=Result.CONVERTED,
            at=at.isoformat(),
            png=png,
            bytes_in=500_000,
            bytes_out=5_000_000,
            pixels=12_000_000,
            milliseconds=400,
        )
    )


async def _quarantined(app: App, number: int, now: datetime) -> None:
    document = Quarantined(
        name=f"bad/{number:04}.jpg",
        etag="0x8DD",
        size=1,
        reason="truncated",
        detail="The file ends early.",
        when=now.isoformat(),
        attempts=1,
        manifest="m",
    )
    metadata = {"source_etag": "0x8DD", "reason": "truncated"}
    await app.quarantine_container.create(document.name, quarantines.to_bytes(document), metadata=metadata)


async def _inbox(app: App, number: int, now: datetime) -> None:
    arrived = [
        Arrival(id=f"{number}-{n}", name=f"new/{number}/{n:05}.jpg", etag="0x8DD", size=1, time=now.isoformat())
        for n in range(1_000)
    ]
    await _append(app.manifests, f"{PREFIX}process-{number}/000000.jsonl", b"".join(map(arrivals.to_line, arrived)))


async def run_stages(app: App, closed: Sequence[str] = ()) -> None:
    """The stages' states, as if they had just run: what they saw is believed for two minutes only."""
    now = app.now()
    before = await app.journal.state("collect")
    known = before.memory if before else {LAST_CLOSED: closed[:2], CLOSED: closed[:KNOWN]}
    memories = {
        "dispatch": {MEMORY: noted(await listed(app.manifests, SEALED, metadata=True), now)},
        "collect": known,
    }
    totals = {"converted": 95_000, "closed": DONE, "quarantined": QUARANTINED, "bytes_out": 95_000 * 5_000_000}
    for stage in ("ingest", "dispatch", "collect", "sweep", "retention"):
        state = StageState(
            stage=stage,
            started=now.isoformat(),
            finished=now.isoformat(),
            seen={**SEEN, QUARANTINE: QUARANTINED},
            totals=totals if stage == "collect" else {},
            memory=memories.get(stage, {}),
        )
        await app.journal.write(state)


async def _journal(app: App, stage: str, now: datetime, counts: Mapping[str, float]) -> None:
    """A line a minute of the day so far, as the stage itself writes them."""
    minutes = min(1440, now.hour * 60 + now.minute + 1)
    times = [now - timedelta(minutes=minute) for minute in range(minutes)][::-1]
    lines = b"".join(to_line(Line(at=at.isoformat(), stage=stage, seconds=1.0, counts=counts)) for at in times)
    await _append(app.manifests, f"{JOURNAL}{now:%Y%m%d}/{stage}.jsonl", lines)


async def _append(container: Container, name: str, data: bytes) -> None:
    await container.create_append(name)
    await container.append(name, data)
