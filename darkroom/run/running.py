"""A run: the images that have no PNG now, cut into as many manifests as tasks are wanted, and followed to their end.

No event and no inbox is waited for. The sweep's own comparison says which images want a PNG (those on their way already
are left alone), the pipeline's own cut makes manifests of them, and dispatch submits these like all others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pipeline import summary
from pipeline.app import App, fresh_id
from pipeline.inbox import Inbox
from pipeline.plan import Plan, cut
from pipeline.storage import BlobMissingError, listed
from pipeline.sweep import Sweep
from pipeline.sweep_cursor import forget_cursor
from shared import manifest as manifests
from shared.arrival import Arrival
from shared.outcome import Outcome, from_lines

SEALED = "sealed/"
_WIDTH = 8
_A_DAY = 86_400.0

Poke = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was started: an id that all its manifests begin with."""

    id: str
    manifests: tuple[str, ...]
    images: int
    tasks: int
    """Tasks that were wanted; as many manifests were made as there were images for, and bounds allowed."""
    on_their_way: int = 0
    """Images that were in line already, and so are not part of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    images: int
    done: int
    manifests: int
    closed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    id: str
    images: int
    counts: dict[str, int]
    """Images by result: converted, current, superseded, deleted, rejected; and left, which go on by themselves."""
    rejected: tuple[Outcome, ...]
    finished: bool
    """False: the time given was over first."""

    @property
    def right(self) -> bool:
        """Whether every image of the run has a PNG now (or has gone, or has a newer version on its way)."""
        return self.finished and not self.counts.get("rejected") and not self.counts.get("left")


@dataclass(kw_only=True)
class _Gathered(Inbox):
    """An inbox that keeps what the sweep brings, instead of storing it."""

    arrivals: list[Arrival] = field(default_factory=list)

    async def add(self, arrivals: Sequence[Arrival], *, deadline: float) -> None:
        del deadline
        self.arrivals.extend(arrivals)


async def start(app: App, *, prefix: str, tasks: int | None) -> Run:
    """Writes the manifests. `tasks` None: as many as the pool has slots when it is at its cap."""
    gathered = _Gathered(container=app.manifests, process="run")
    await forget_cursor(app.manifests, prefix)  # a run compares everything, from the beginning
    sweep = Sweep(
        images=app.images,
        converted=app.converted,
        quarantine=app.quarantine_container,
        manifests=app.manifests,
        inbox=gathered,
        settings=app.settings.pipeline,
        now=app.now,
    )
    report = await sweep.run(prefix=prefix, min_age=0.0, deadline=_A_DAY, via="run")
    pool, limits = app.settings.pool, app.settings.pipeline
    wanted = tasks or pool.max_nodes * pool.slots_per_node
    together = min(limits.manifest_max_images, -(-len(gathered.arrivals) // wanted) or 1)
    now = app.now()
    plan = Plan(
        id=fresh_id(now),
        created=now.isoformat(),
        naming=limits.naming,
        max_images=together,
        max_bytes=limits.manifest_max_bytes,
        max_attempts=limits.max_attempts,
        inboxes=(),
    )
    made = cut(plan, gathered.arrivals)
    for one in made:
        total = sum(entry.size for entry in one.entries)
        metadata = {"images": str(len(one.entries)), "bytes": str(total)}
        await app.manifests.create(f"{SEALED}{one.id}.json", manifests.to_bytes(one), metadata=metadata)
    return Run(
        id=plan.id,
        manifests=tuple(one.id for one in made),
        images=sum(len(one.entries) for one in made),
        tasks=wanted,
        on_their_way=report.counts.get("in_flight", 0),
    )


async def find(app: App, run_id: str) -> Run:
    """A run that was started before, by its id: open manifests and archived ones. Empty when there is none."""
    day = f"{run_id[:4]}/{run_id[4:6]}/{run_id[6:8]}"
    opened = await listed(app.manifests, f"{SEALED}{run_id}-", metadata=True)
    closed = await listed(app.manifests, f"{summary.ARCHIVE}{day}/{run_id}-", metadata=True)
    found = {blob.name.rsplit("/", 1)[1].removesuffix(".json"): blob for blob in (*opened, *closed)}
    images = sum(int(blob.metadata.get("images", "0")) for blob in found.values())
    return Run(id=run_id, manifests=tuple(sorted(found)), images=images, tasks=len(found))


async def follow(
    app: App,
    run: Run,
    *,
    seconds: float | None,
    poke: Poke,
    told: Callable[[Progress], None] = lambda progress: None,
    every: float = 2.0,
) -> bool:
    """Waits until all manifests of the run are closed; whether they are. `poke` is called while something is to be
    submitted or collected, so that no timer is waited for."""
    loop = asyncio.get_running_loop()
    until = None if seconds is None else loop.time() + seconds
    known: dict[str, tuple[str, frozenset[tuple[str, str]]]] = {}
    while True:
        opened = {blob.name: blob for blob in await listed(app.manifests, f"{SEALED}{run.id}-", metadata=True)}
        done = await _done(app, run, known)
        closed = len(run.manifests) - len(opened)
        told(Progress(images=run.images, done=done, manifests=len(run.manifests), closed=closed))
        if not opened:
            return True
        if until is not None and loop.time() >= until:
            return False
        unsubmitted = any(not blob.metadata.get("job") for blob in opened.values())
        if unsubmitted or done >= run.images:
            await poke()
        await asyncio.sleep(every)


async def result(app: App, run: Run, *, finished: bool) -> RunResult:
    """What became of the run's images."""
    found = await outcomes(app, run)
    counts = Counter(outcome.result.value for outcome in found)
    left = run.images - len(found)
    return RunResult(
        id=run.id,
        images=run.images,
        counts=dict(counts) | ({"left": left} if left else {}),
        rejected=tuple(outcome for outcome in found if outcome.result.value == "rejected"),
        finished=finished,
    )


async def outcomes(app: App, run: Run) -> list[Outcome]:
    """One outcome an image, of those that have one."""
    known: dict[tuple[str, str], Outcome] = {}
    for manifest in run.manifests:
        for blob in await listed(app.outcomes, f"{manifest}/"):
            data = (await app.outcomes.read(blob.name)).data
            known |= {outcome.key: outcome for outcome in from_lines(data, where=blob.name).outcomes}
    return list(known.values())


async def clean_up(app: App, run: Run) -> int:
    """Removes the run's outcomes and summaries; PNGs and quarantine stay. How many blobs."""
    removed = 0
    for manifest in run.manifests:
        names = [(app.outcomes, blob.name) for blob in await listed(app.outcomes, f"{manifest}/")]
        for container, name in (*names, (app.manifests, summary.archive_name(manifest))):
            try:
                await container.delete(name)
                removed += 1
            except BlobMissingError:
                continue
    return removed


async def _done(app: App, run: Run, known: dict[str, tuple[str, frozenset[tuple[str, str]]]]) -> int:
    limit = asyncio.Semaphore(_WIDTH)

    async def of(manifest: str) -> set[tuple[str, str]]:
        keys: set[tuple[str, str]] = set()
        async with limit:
            for blob in await listed(app.outcomes, f"{manifest}/"):
                if known.get(blob.name, ("", frozenset()))[0] != blob.etag:
                    data = (await app.outcomes.read(blob.name)).data
                    found = frozenset(outcome.key for outcome in from_lines(data, where=blob.name).outcomes)
                    known[blob.name] = (blob.etag, found)
                keys |= known[blob.name][1]
        return keys

    return sum(len(keys) for keys in await asyncio.gather(*(of(manifest) for manifest in run.manifests)))
