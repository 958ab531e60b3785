"""What open pages cost in storage operations: bounded a minute, whatever the containers hold and however many look."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.pipeline.policies import SansIOHTTPPolicy

from pipeline.app import App
from pipeline.dashboard.dashboard import Dashboard
from pipeline.journal import StageState
from pipeline.open_manifest import CLOSED, MEMORY, noted
from pipeline.quarantine import QUARANTINE
from pipeline.storage import listed
from tests.darkroom.places import Place
from tests.dashboard.conftest import Clock
from tests.dashboard.test_dashboard import PNG, done, seal

pytestmark = pytest.mark.azurite

MOST_A_MINUTE = 250
"""docs/dashboard.md has the sum that this bounds."""


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts every request that the storage SDK sends."""
    from azure.storage.blob._shared.policies import StorageHeadersPolicy

    counted: Counter[str] = Counter()
    original = StorageHeadersPolicy.on_request

    def on_request(self: SansIOHTTPPolicy[object, object], request: object) -> None:
        counted["all"] += 1
        url = urlsplit(request.http_request.url)  # type: ignore[attr-defined]  # a PipelineRequest
        query = parse_qs(url.query)
        if query.get("comp") == ["list"]:
            counted[f"list {url.path.rsplit('/', 1)[1].rsplit('-', 1)[0]} {query.get('prefix', [''])[0]}".strip()] += 1
        original(self, request)  # type: ignore[arg-type]  # the same policy

    monkeypatch.setattr(StorageHeadersPolicy, "on_request", on_request)
    return counted


async def minute(board: Dashboard, clock: Clock, viewers: int) -> None:
    """Sixty seconds of `viewers` open pages, as main.js asks: data every 5 s, series every 15, quarantine every 20."""
    for second in range(0, 60, 5):
        clock.now += 5
        asked = [board.data() for _ in range(viewers)]
        if second % 15 == 0:
            asked += [board.series("60") for _ in range(viewers)]
        if second % 20 == 0:
            asked += [board.quarantine("") for _ in range(viewers)]
        asked += [board.png(f"{number}.png") for number in range(12) for _ in range(viewers)]
        await asyncio.gather(*asked)


async def test_twenty_pages_over_full_containers_stay_below_the_bound(
    place: Place, app: App, board: Dashboard, clock: Clock, operations: Counter[str]
) -> None:
    """Forty manifests in flight, growing outcomes, a full first page of quarantine, new PNGs."""
    for number in range(40):
        seal(place, f"20261121T100000-x-{number:04}", [f"{number}.jpg"])
        place.put(
            "outcomes",
            f"20261121T100000-x-{number:04}/r.jsonl",
            done(f"{number}.jpg", f"2026-11-21T10:02:{number:02}Z"),
        )
        place.put("converted", f"{number}.png", PNG)
        place.put("quarantine", f"{number}.jpg", b"{}", reason="truncated")
    operations.clear()
    await minute(board, clock, viewers=20)
    assert 0 < operations["all"] <= MOST_A_MINUTE, operations
    print("operations a minute:", operations["all"])  # noqa: T201 (a figure for docs/dashboard.md, shown with -s)


async def test_twenty_pages_cost_what_one_costs(
    place: Place, app: App, board: Dashboard, clock: Clock, operations: Counter[str]
) -> None:
    seal(place, "20261121T100000-x-0000", ["a.jpg"])
    await minute(board, clock, viewers=1)
    operations.clear()
    await minute(board, clock, viewers=1)
    one = operations["all"]
    operations.clear()
    await minute(board, clock, viewers=20)
    assert operations["all"] == one


async def test_a_status_and_a_page_cost_the_same_however_full_the_containers_are(
    place: Place, app: App, clock: Clock, operations: Counter[str]
) -> None:
    """Nothing lists images, PNGs or outcomes, so their number cannot matter."""

    async def look() -> Counter[str]:
        operations.clear()
        await app.status()
        await Dashboard(app=app, clock=clock).data()
        return Counter(operations)

    empty = await look()
    for number in range(300):
        place.put("images", f"{number}.jpg")
        place.put("converted", f"{number}.png")
        place.put("outcomes", f"old-{number}/r.jsonl")
    full = await look()
    assert full == empty
    assert {name.split()[1] for name in full if name.startswith("list ")} <= {"manifests", "quarantine"}


async def test_a_look_lists_the_outcomes_of_one_hour_and_the_next_look_those_of_another(
    place: Place, app: App, board: Dashboard, clock: Clock, operations: Counter[str]
) -> None:
    """Nine manifests of this hour, one that is stuck since yesterday, closed ones between."""
    open_ones = ["20261120T090000-a-0000", *(f"20261121T10{minute:02}00-b-0000" for minute in range(9))]
    for number, one in enumerate(open_ones):
        seal(place, one, ["a.jpg", "b.jpg"])
        lines = [done(name, "2026-11-21T10:02:00Z") for name in ("a.jpg", "b.jpg")][: 1 + number % 2]
        place.put("outcomes", f"{one}/r.jsonl", b"".join(lines))
    for minute in range(60):
        place.put("outcomes", f"20261121T10{minute:02}30-c-0000/r.jsonl", b"")
    right = {one: 1 + number % 2 for number, one in enumerate(open_ones)}
    for look in (1, 2, 3):
        operations.clear()
        shown = {one["id"]: one["done"] for one in json.loads((await board.data()).body)["manifests"]}
        assert shown == (right | {open_ones[0]: None} if look == 1 else right)
        assert sum(count for name, count in operations.items() if name.startswith("list outcomes")) == 1
        clock.now += 11


async def test_while_the_stages_run_a_status_lists_inboxes_only(
    place: Place, app: App, operations: Counter[str]
) -> None:
    """Open manifests are known from dispatch and collect, the quarantine's size from collect."""
    seal(place, "20261121T100000-x-0000", ["a.jpg", "b.jpg"], job="")
    seal(place, "20261121T100000-x-0001", ["c.jpg"], job="")
    place.put("quarantine", "bad.jpg", b"{}", reason="truncated")
    opened = await listed(app.manifests, "sealed/", metadata=True)
    async with app.journal.run("dispatch") as run:
        run.memory[MEMORY] = noted(opened, app.now())
    async with app.journal.run("collect") as run:
        run.memory[CLOSED] = ["20261121T100000-x-0001"]
        run.seen = {QUARANTINE: 1}
    operations.clear()
    status = await app.status()
    assert [name for name in operations if name.startswith("list ")] == ["list manifests inbox/"]
    assert (status.open_manifests, status.open_images, status.unsubmitted, status.quarantined) == (1, 2, 1, 1)


async def test_what_a_stage_saw_long_ago_is_not_believed(place: Place, app: App, operations: Counter[str]) -> None:
    seal(place, "20261121T100000-x-0000", ["a.jpg"])
    place.put("quarantine", "bad.jpg", b"{}", reason="truncated")
    then = app.now() - timedelta(minutes=10)
    memory = {MEMORY: noted([], then)}
    await app.journal.write(StageState(stage="dispatch", finished=app.now().isoformat(), memory=memory))
    await app.journal.write(StageState(stage="collect", finished=then.isoformat(), seen={QUARANTINE: 0}))
    status = await app.status()
    assert (status.open_manifests, status.quarantined) == (1, 1)


async def test_an_hour_of_more_outcomes_than_a_page_is_asked_for_in_parts(
    place: Place, app: App, board: Dashboard, operations: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few manifests in flight among many that are done: the count stays right and the lists bounded."""
    monkeypatch.setattr("pipeline.dashboard.progress.PAGE", 3)
    open_ones = [f"20261121T10{minute:02}00-b-0000" for minute in (0, 20, 40)]
    for one in open_ones:
        seal(place, one, ["a.jpg"])
        for run in range(5):
            place.put("outcomes", f"{one}/{run}.jsonl", done("a.jpg", "2026-11-21T10:02:00Z") if run == 4 else b"")
    operations.clear()
    shown = {one["id"]: one["done"] for one in json.loads((await board.data()).body)["manifests"]}
    assert shown == dict.fromkeys(open_ones, 1)
