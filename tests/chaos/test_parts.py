"""The parts of a round: what is dropped, who delivers events, what is struck, who is left behind."""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image, UnidentifiedImageError

from shared.arrival import Arrival
from shared.events import ImageSource, account_of, parse_blob_created
from shared.naming import MAX_BLOB_NAME, Naming, is_jpeg_name, png_name
from tests.chaos.corpus import Content, Picture, bad, good, names
from tests.chaos.events import EventSender, Habits
from tests.chaos.processes import Program, Service, adopted_orphans, descendants, orphans
from tests.chaos.storm import Blow, schedule
from tests.chaos.truth import Truth, Version


def version(name: str, number: int = 1, picture: Picture | None = None) -> Version:
    return Version(
        name=name,
        etag=f"0x{number}",
        size=3,
        written="2026-01-01T00:00:00.0000000Z",
        sequencer=f"{number:040X}",
        picture=picture or Picture(data=b"abc", content=Content.GOOD),
    )


@pytest.mark.parametrize("seed", range(5))
def test_names_are_legal_and_distinct_and_some_compete_for_a_png(seed: int) -> None:
    found = names(random.Random(seed), 200)
    assert len(set(found)) == 200
    assert 180 < len({png_name(name, Naming.REPLACE) for name in found}) < 200
    assert all(is_jpeg_name(name) and len(name) <= MAX_BLOB_NAME for name in found)
    assert max(len(name) for name in found) == MAX_BLOB_NAME
    assert not any(re.search(r"[\x00-\x1f\\]|(^|/)\.\.(/|$)", name) for name in found)


@pytest.mark.parametrize("seed", range(20))
def test_good_pictures_decode_and_bad_ones_do_not(seed: int) -> None:
    rng = random.Random(seed)
    with Image.open(io.BytesIO(good(rng).data), formats=["JPEG"]) as image:
        image.load()
    with pytest.raises((UnidentifiedImageError, OSError, SyntaxError)):
        Image.open(io.BytesIO(bad(rng).data), formats=["JPEG"]).load()


def test_the_book_knows_overwrites_deletions_and_recreations() -> None:
    truth = Truth()
    truth.wrote(version("a", 1))
    truth.wrote(version("a", 2))
    truth.removed("a")
    truth.wrote(version("a", 3))
    assert (truth.uploads, truth.overwrites, truth.deletions, truth.recreations) == (3, 1, 1, 1)
    assert truth.latest["a"].etag == "0x3"


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_strikes_in_every_way_and_within_its_time(seed: int) -> None:
    events = schedule(random.Random(seed), seconds=30.0)
    assert {event.blow for event in events} == set(Blow)
    assert events == sorted(events, key=lambda event: event.at)
    assert all(0 < event.at <= 30 for event in events)
    assert events == schedule(random.Random(seed), seconds=30.0)


async def test_every_event_arrives_however_often_the_host_refuses() -> None:
    """At least once, in batches, duplicates where the habits say so; each one parses as ours."""
    seen: Counter[str] = Counter()
    rng = random.Random(5)
    endpoint = "http://127.0.0.1:1/devstoreaccount1"
    source = ImageSource(account=account_of(endpoint), container="images")

    async def hook(request: web.Request) -> web.Response:
        assert request.headers["aeg-event-type"] == "Notification"
        events = await request.json()
        if rng.random() < 0.4:
            return web.Response(status=500)
        for event in events:
            arrival = parse_blob_created(event, source)
            assert isinstance(arrival, Arrival)
            seen[arrival.name] += 1
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        habits = Habits(dropped=0.1, duplicated=0.5, late=0.5, longest_wait=0.2)
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        sender = EventSender(url=url, endpoint=endpoint, container="images", rng=random.Random(1), habits=habits)
        for number in range(100):
            sender.announce(version(f"x/{number} ü%.jpg", number))
        delivery = asyncio.create_task(sender.run())
        async with asyncio.timeout(30):
            while not sender.idle:  # noqa: ASYNC110 - a round polls it, too
                await asyncio.sleep(0.02)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
    finally:
        await runner.cleanup()
    assert len(seen) == 100 - sender.counts.dropped
    assert 0 < sender.counts.dropped < 30
    assert seen.total() == sender.counts.accepted == len(seen) + sender.counts.duplicated
    assert sender.counts.refused > 0


def program(tmp_path: Path, code: str) -> Program:
    return Program(
        name="p",
        command=[sys.executable, "-c", code],
        environment=os.environ,
        folder=tmp_path,
        log=tmp_path / "p.log",
        ready=r"(ready \d+)",
    )


async def test_a_killed_service_starts_again_and_leaves_orphans_that_are_found(tmp_path: Path) -> None:
    """A grandchild whose parent was killed is ours to find, and is gone from the list once it has ended."""
    before = {process.pid for process in descendants()}
    child = "import time; time.sleep(60)  # left behind"
    code = f"import subprocess, sys, time\np = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
    service = Service(program(tmp_path, code + "print('ready', p.pid, flush=True); time.sleep(60)"))
    with adopted_orphans():
        first = int((await service.start()).split()[1])
        await service.kill()
        second = int((await service.start()).split()[1])
        await service.stop()
        found = await orphans(patience=0.1, besides=before)
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        assert await orphans(patience=5, besides=before) == []
    assert sorted(int(line.split()[0]) for line in found) == sorted([first, second])
    assert all("left behind" in line for line in found)
