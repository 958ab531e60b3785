"""Carries out a storm's blows on a running cloud, and counts those that struck."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import psutil

from tests.chaos.cloud import Cloud
from tests.chaos.processes import Service, descendants
from tests.chaos.storm import BATCH_RULES, OUTAGE, STORAGE_RULES, Blow, Event
from tests.chaos.weather import Rule, Weather

_SEARCH_SECONDS = 15.0
"""How long a blow waits for a victim (a running task, a node) before it counts as missed."""


class Striker:
    """Strikes at the times of a schedule."""

    def __init__(self, cloud: Cloud, *, rng: random.Random, say: Callable[[str], None]) -> None:
        self._cloud = cloud
        self._rng = rng
        self._say = say
        self._locks = {service.program.name: asyncio.Lock() for service in cloud.services}
        self.struck: Counter[Blow] = Counter()
        self.missed: Counter[Blow] = Counter()

    async def run(self, events: Sequence[Event]) -> None:
        """All events; returns when the last victim is up again."""
        start = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for event in events:
                await asyncio.sleep(max(0.0, start + event.at - asyncio.get_running_loop().time()))
                group.create_task(self._strike(event))

    async def _strike(self, event: Event) -> None:
        struck = await self._blow(event)
        (self.struck if struck else self.missed)[event.blow] += 1
        self._say(f"{event.at:6.1f} s {event.blow.value} {event.seconds:.1f} s" + ("" if struck else ": no victim"))

    async def _blow(self, event: Event) -> bool:
        cloud = self._cloud
        match event.blow:
            case Blow.KILL_HOST:
                return await self._down(cloud.host, event.seconds, hard=True)
            case Blow.KILL_BATCH:
                return await self._down(cloud.batch, event.seconds, hard=True)
            case Blow.RESTART_STORAGE:
                return await self._down(cloud.azurite, event.seconds, hard=False)
            case Blow.KILL_WORKER:
                return await self._when_there_is_one(self._kill_worker)
            case Blow.PREEMPT:
                return await self._when_there_is_one(self._preempt)
            case Blow.DELETE_JOB:
                return await self._when_there_is_one(cloud.delete_job)
            case Blow.STORAGE_OUTAGE:
                return await _outage(cloud.storage_weather, STORAGE_RULES, event.seconds)
            case Blow.BATCH_OUTAGE:
                return await _outage(cloud.batch_weather, BATCH_RULES, event.seconds)

    async def _down(self, service: Service, seconds: float, *, hard: bool) -> bool:
        async with self._locks[service.program.name]:
            await (service.kill() if hard else service.stop())
            await asyncio.sleep(seconds)
            await service.start()
        return True

    async def _kill_worker(self) -> bool:
        if running := descendants(saying="-m worker"):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._rng.choice(running).kill()
                return True
        return False

    async def _preempt(self) -> bool:
        return await self._cloud.preempt(self._rng.randrange(1, 3))

    async def _when_there_is_one(self, strike: Callable[[], Awaitable[bool]]) -> bool:
        deadline = asyncio.get_running_loop().time() + _SEARCH_SECONDS
        while not await strike():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True


async def _outage(weather: Weather, rules: Sequence[Rule], seconds: float) -> bool:
    weather.set_rules(OUTAGE)
    await asyncio.sleep(seconds)
    weather.set_rules(rules)
    return True
