"""One round: a storm while images come, then fair weather until everything is accounted for, then the audit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp

from shared.naming import Naming
from tests.chaos.audit import Audit
from tests.chaos.cloud import Cloud, open_cloud
from tests.chaos.corpus import names
from tests.chaos.events import Counts, EventSender, Habits
from tests.chaos.processes import orphans
from tests.chaos.storm import BATCH_RULES, STORAGE_RULES, Blow, schedule, settings
from tests.chaos.striker import Striker
from tests.chaos.truth import Truth
from tests.chaos.uploads import Uploader
from tests.chaos.weather import Fault, Weather

SETTLE_SECONDS = 180.0
"""A round that is not accounted for this long after the storm has failed."""
_SWEEP_EVERY = 6.0
UNDONE = ("missing", "stale", "in_flight")
_ORPHAN_PATIENCE = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a round is made of."""

    seed: int
    images: int = 60
    storm_seconds: float = 30.0
    speed: float = 60.0
    """How many times faster than Azure the Batch service's clocks run."""


@dataclass(kw_only=True)
class Result:
    """What happened in a round."""

    seed: int
    problems: list[str] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    events: Counts = field(default_factory=Counts)
    struck: Counter[Blow] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    requests: int = 0
    settle_seconds: float = 0.0
    seconds: float = 0.0
    accounted: Counter[str] = field(default_factory=Counter)
    """What the audit found: PNGs compared, quarantine documents, archived manifests, …"""


async def play(options: Options, folder: Path, *, say: Callable[[str], None]) -> Result:
    """Plays a round in `folder`. What is wrong in the end is in the result's `problems`."""
    clock = asyncio.get_running_loop().time
    began = clock()
    result = Result(seed=options.seed)
    weathers = [Weather(seed=_seed(options, name)) for name in ("storage weather", "batch weather")]
    chosen = settings(_rng(options, "settings"))
    say(" ".join(f"{name}={value}" for name, value in chosen.items()))
    async with open_cloud(
        folder, storage_weather=weathers[0], batch_weather=weathers[1], speed=options.speed, settings=chosen
    ) as cloud:
        say(f"started after {clock() - began:.1f} s in {folder}")
        sender = EventSender(
            url=f"{cloud.host_url}/runtime/webhooks/EventGrid?functionName=ingest&code={quote(cloud.keys().event_grid)}",
            endpoint=cloud.endpoint,
            container="images",
            rng=_rng(options, "events"),
            habits=Habits(),
        )
        result.events = sender.counts
        delivery = asyncio.create_task(sender.run())
        try:
            await _storm(options, cloud, sender, result, say)
            result.settle_seconds = await _settle(cloud, sender, result, Naming(chosen["NAMING"]), say)
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)
            for weather in weathers:
                result.faults += weather.injected
                result.requests += weather.requests
    result.problems += [f"orphan process: {orphan}" for orphan in await orphans(patience=_ORPHAN_PATIENCE)]
    result.seconds = clock() - began
    return result


async def _storm(
    options: Options, cloud: Cloud, sender: EventSender, result: Result, say: Callable[[str], None]
) -> None:
    cloud.storage_weather.set_rules(STORAGE_RULES)
    cloud.batch_weather.set_rules(BATCH_RULES)
    striker = Striker(cloud, rng=_rng(options, "victims"), say=say)
    async with cloud.storage() as storage, asyncio.TaskGroup() as group:
        uploader = Uploader(
            storage.get_container_client("images"),
            truth=result.truth,
            rng=_rng(options, "uploads"),
            announce=sender.announce,
        )
        chosen = names(_rng(options, "names"), options.images)
        group.create_task(uploader.run(chosen, seconds=options.storm_seconds * 0.8))
        group.create_task(striker.run(schedule(_rng(options, "storm"), seconds=options.storm_seconds)))
    result.struck = striker.struck
    cloud.storage_weather.set_rules(())
    cloud.batch_weather.set_rules(())
    say(f"fair weather: {len(result.truth.latest)} images, {len(result.truth.deleted)} deleted")


async def _settle(
    cloud: Cloud, sender: EventSender, result: Result, naming: Naming, say: Callable[[str], None]
) -> float:
    """Waits until the audit has nothing to say and a sweep finds nothing to do. Seconds that it took."""
    clock = asyncio.get_running_loop().time
    began, swept = clock(), -_SWEEP_EVERY
    async with cloud.storage() as storage:
        audit = Audit(storage, truth=result.truth, naming=naming)
        while True:
            problems = ["events are still to be delivered"] if not sender.idle else await audit.problems()
            if not problems:
                problems = await _sweep(cloud) or await audit.problems()
            if not problems:
                break
            if clock() - began > SETTLE_SECONDS:
                result.problems += problems
                break
            if clock() - swept > _SWEEP_EVERY:
                swept = clock()
                say(f"{clock() - began:6.1f} s {len(problems)} open, first: {problems[0][:150]}")
                await _sweep(cloud)
            await asyncio.sleep(0.5)
        result.accounted = audit.found
    return clock() - began


async def _sweep(cloud: Cloud) -> list[str]:
    """What a sweep found to be done, or why there was none."""
    try:
        counts = await cloud.sweep()
    except (aiohttp.ClientError, TimeoutError) as error:
        return [f"no sweep: {error!r}"]
    return [f"the sweep counts {counts[what]} images as {what}" for what in UNDONE if counts.get(what)]


def _seed(options: Options, what: str) -> int:
    return _rng(options, what).getrandbits(64)


def _rng(options: Options, what: str) -> random.Random:
    return random.Random(f"{options.seed} {what}")
