"""Status: the whole at a glance. A bounded number of requests, whatever the size of the containers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipeline import open_manifest
from pipeline.inbox import PREFIX
from pipeline.journal import Journal, Line, StageState
from pipeline.open_manifest import OpenManifest
from pipeline.quarantine import QUARANTINE
from pipeline.sealing import SEALED
from pipeline.storage import BlobMissingError, Container, Listed

STAGES = ("ingest", "dispatch", "collect", "sweep", "retention")
MANIFESTS_SHOWN = 500
RATE_MINUTES = 10
QUARANTINE_COUNTED = 50
"""Quarantined images that a status counts itself."""
SAMPLE = 64_000
"""Bytes of one inbox that are read to count arrivals."""
LINE = 270
"""Bytes of an arrival's line, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is known of the system now. Times are ISO 8601 UTC."""

    at: str
    inboxes: int
    waiting_bytes: int
    waiting: int
    """Arrivals in inboxes; an estimate where they are many."""
    oldest_waiting_seconds: float
    open_manifests: int
    open_images: int
    unsubmitted: int
    manifests: tuple[OpenManifest, ...]
    refused: int
    """Inboxes that this release cannot read, as the last dispatch saw."""
    tasks: Mapping[str, int]
    nodes: Mapping[str, int]
    pool: Mapping[str, Any]
    totals: Mapping[str, int]
    """Since ever, as collect counted."""
    quarantined: int | None
    """Counted where it is small; else as the last complete sweep saw; before the first, what collect put there. None:
    nothing is known."""
    rates: Mapping[str, float]
    stages: Mapping[str, StageState | None]
    troubles: tuple[Mapping[str, Any], ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For programs and the page."""
        return {
            "at": self.at,
            "inboxes": self.inboxes,
            "waiting_bytes": self.waiting_bytes,
            "waiting": self.waiting,
            "oldest_waiting_seconds": self.oldest_waiting_seconds,
            "open_manifests": self.open_manifests,
            "open_images": self.open_images,
            "unsubmitted": self.unsubmitted,
            "manifests": [
                {
                    "id": one.id,
                    "images": one.images,
                    "bytes": one.bytes,
                    "created": one.created,
                    "job": one.job,
                    "submitted": one.submitted,
                }
                for one in self.manifests
            ],
            "refused": self.refused,
            "tasks": dict(self.tasks),
            "nodes": dict(self.nodes),
            "pool": dict(self.pool),
            "totals": dict(self.totals),
            "quarantined": self.quarantined,
            "rates": dict(self.rates),
            "stages": {name: state.as_json() if state else None for name, state in self.stages.items()},
            "troubles": [dict(trouble) for trouble in self.troubles],
        }


async def gather(manifests: Container, quarantine: Container, journal: Journal, *, now: datetime) -> Status:
    """Reads the stages' states, the journals' last lines, and one page of inboxes.

    What the stages saw a moment ago is taken from their states while these are young, and listed where they are not.
    """
    states = await asyncio.gather(*(journal.state(stage) for stage in STAGES))
    stages = dict(zip(STAGES, states, strict=True))
    inboxes, opened, quarantined, lines = await asyncio.gather(
        _first_page(manifests, PREFIX),
        _opened(manifests, stages, now),
        _quarantined(quarantine, stages, now),
        asyncio.gather(*(journal.lines(stage, now, last=32_000) for stage in ("dispatch", "collect"))),
    )
    dispatch = stages["dispatch"].seen if stages["dispatch"] else {}
    pool, refused = _mapping(dispatch.get("pool")), _count(dispatch.get("refused"))
    waiting_bytes = sum(blob.size for blob in inboxes)
    oldest = min((blob.created for blob in inboxes if blob.size), default=now)
    return Status(
        at=now.isoformat(timespec="seconds"),
        inboxes=len(inboxes),
        waiting_bytes=waiting_bytes,
        waiting=await _waiting(manifests, inboxes),
        oldest_waiting_seconds=max(0.0, round((now - oldest).total_seconds(), 1)),
        open_manifests=len(opened),
        open_images=sum(one.images for one in opened),
        unsubmitted=sum(1 for one in opened if not one.job),
        manifests=tuple(opened[:MANIFESTS_SHOWN]),
        refused=refused,
        tasks=_mapping(dispatch.get("tasks")),
        nodes=_mapping(pool.get("nodes")),
        pool=pool,
        totals=stages["collect"].totals if stages["collect"] else {},
        quarantined=quarantined,
        rates=_rates(lines[0], lines[1], now),
        stages=stages,
        troubles=tuple(_troubles(stages, pool, refused)),
    )


async def _waiting(manifests: Container, inboxes: Sequence[Listed]) -> int:
    """Arrivals in the inboxes: counted in the end of the largest, and estimated from that for the rest."""
    size = sum(blob.size for blob in inboxes)
    if not size:
        return 0
    largest = max(inboxes, key=lambda blob: blob.size)
    try:
        sample = (await manifests.read(largest.name, last=SAMPLE)).data
    except BlobMissingError:
        return -(-size // LINE)  # it became a manifest since it was listed
    lines = sample.count(b"\n")
    return lines if len(sample) >= size else round(size * lines / max(1, len(sample)))


async def _first_page(container: Container, prefix: str) -> Sequence[Listed]:
    async for page in container.pages(prefix, metadata=True):
        return page.blobs
    return ()


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


async def _opened(
    manifests: Container, stages: Mapping[str, StageState | None], now: datetime
) -> Sequence[OpenManifest]:
    found = open_manifest.known(_memory(stages["dispatch"]), _memory(stages["collect"]), now=now)
    if found is not None:
        return found
    return [open_manifest.open_manifest(blob) for blob in await _first_page(manifests, SEALED)]


def _memory(state: StageState | None) -> Mapping[str, Any]:
    return state.memory if state else {}


async def _quarantined(container: Container, stages: Mapping[str, StageState | None], now: datetime) -> int | None:
    """As collect counted it a moment ago, or counted here, where it is small; else what the stages know has to do."""
    sweep, collect = stages["sweep"], stages["collect"]
    known = _quarantine_known(sweep, collect)
    if collect and collect.finished and now - datetime.fromisoformat(collect.finished) < open_manifest.YOUNG:
        counted = collect.seen.get(QUARANTINE)
        if isinstance(counted, int):
            return counted
    if (known or 0) <= QUARANTINE_COUNTED:
        async for page in container.pages(size=QUARANTINE_COUNTED):
            if not page.marker:
                return len(page.blobs)
            break
    return known


def _quarantine_known(sweep: StageState | None, collect: StageState | None) -> int | None:
    report = _mapping(sweep.memory.get("report")) if sweep else {}
    if report:
        return int(_mapping(report.get("counts")).get("quarantined", 0))
    if collect is None:
        return None
    return max(0, collect.totals.get("quarantined", 0) - collect.totals.get("quarantine_removed", 0))


def _rates(dispatch: Sequence[Line], collect: Sequence[Line], now: datetime) -> dict[str, float]:
    since = (now - timedelta(minutes=RATE_MINUTES)).isoformat()

    def a_minute(lines: Sequence[Line], *names: str) -> float:
        total = sum(line.counts.get(name, 0.0) for line in lines if line.at >= since for name in names)
        return round(total / RATE_MINUTES, 2)

    return {
        "minutes": RATE_MINUTES,
        "arrived_per_minute": a_minute(dispatch, "arrivals"),
        "converted_per_minute": a_minute(collect, "converted"),
        "rejected_per_minute": a_minute(collect, "rejected"),
    }


def _troubles(
    stages: Mapping[str, StageState | None], pool: Mapping[str, Any], refused: int
) -> list[Mapping[str, Any]]:
    troubles: list[Mapping[str, Any]] = [
        {"code": state.error.get("code", ""), "message": f"{name}: {state.error.get('message', '')}", "serious": True}
        for name, state in stages.items()
        if state is not None and state.error
    ]
    troubles += [trouble for trouble in pool.get("troubles", ()) if isinstance(trouble, dict)]
    if refused:
        troubles.append(
            {
                "code": "inbox-refused",
                "message": f"{refused} inboxes in refused/ are of another release; the sweep brings their images back.",
                "serious": True,
            }
        )
    return troubles
