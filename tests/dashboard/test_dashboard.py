"""What the page asks, over a real Azurite."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.app import App
from pipeline.dashboard.dashboard import Dashboard
from pipeline.dashboard.document import LARGEST_PICTURE
from pipeline.dashboard.reply import Reply
from pipeline.journal import Line, StageState
from shared import manifest, outcome, quarantine
from shared.manifest import Entry, Manifest
from shared.naming import Naming
from shared.outcome import Outcome, Result
from shared.quarantine import Quarantined
from tests.darkroom.places import Place
from tests.dashboard.conftest import Clock

pytestmark = pytest.mark.azurite

HOSTILE = "<img src=x onerror=alert(1)>\u202e.jpg"
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


def told(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    parsed: dict[str, Any] = json.loads(reply.body)
    return parsed


def seal(place: Place, manifest_id: str, names: list[str], *, job: str = "darkroom-20261121") -> None:
    entries = tuple(Entry(name=name, etag="e", size=1) for name in names)
    sealed = Manifest(id=manifest_id, created="2026-11-21T10:00:00Z", naming=Naming.REPLACE, entries=entries)
    metadata = {"images": str(len(names)), "bytes": "1"} | (
        {"job": job, "submitted": "2026-11-21T10:01:00Z"} if job else {}
    )
    place.put("manifests", f"sealed/{manifest_id}.json", manifest.to_bytes(sealed), **metadata)


def done(name: str, at: str, *, size: int = 100) -> bytes:
    png = name.replace(".jpg", ".png")
    return outcome.to_line(Outcome(name=name, etag="e", result=Result.CONVERTED, at=at, png=png, bytes_out=size))


async def test_manifests_in_flight_have_their_progress_and_the_last_pngs_are_named(
    place: Place, board: Dashboard
) -> None:
    seal(place, "m1", ["a.jpg", "b.jpg", "c.jpg"])
    seal(place, "m2", ["d.jpg"], job="")
    place.put(
        "outcomes", "m1/run-1.jsonl", done("a.jpg", "2026-11-21T10:02:00Z") + done("b.jpg", "2026-11-21T10:03:00Z")
    )
    document = told(await board.data())
    shown = {one["id"]: one for one in document["manifests"]}
    assert (shown["m1"]["done"], shown["m1"]["images"], shown["m1"]["state"]) == (2, 3, "running")
    assert (shown["m2"]["done"], shown["m2"]["state"]) == (None, "waits for a task")
    assert [one["png"] for one in document["recent"]] == ["b.png", "a.png"]


async def test_progress_moves_on_when_an_outcome_blob_has_grown(place: Place, board: Dashboard, clock: Clock) -> None:
    seal(place, "m1", ["a.jpg", "b.jpg"])
    place.put("outcomes", "m1/run-1.jsonl", done("a.jpg", "2026-11-21T10:02:00Z"))
    assert told(await board.data())["manifests"][0]["done"] == 1
    place.put("outcomes", "m1/run-2.jsonl", done("b.jpg", "2026-11-21T10:03:00Z"))
    clock.now = 11
    assert told(await board.data())["manifests"][0]["done"] == 2


async def test_pngs_of_manifests_that_closed_between_two_looks_are_named(
    place: Place, app: App, board: Dashboard
) -> None:
    place.put("outcomes", "m1/run-1.jsonl", done("a.jpg", "2026-11-21T10:02:00Z"))
    await app.journal.write(StageState(stage="collect", memory={"last_closed": ["m1"]}))
    assert [one["png"] for one in told(await board.data())["recent"]] == ["a.png"]


async def test_a_picture_that_is_too_large_is_said_to_be(place: Place, board: Dashboard) -> None:
    seal(place, "m1", ["a.jpg"])
    place.put("outcomes", "m1/run-1.jsonl", done("a.jpg", "2026-11-21T10:02:00Z", size=LARGEST_PICTURE + 1))
    assert told(await board.data())["recent"][0]["too_large"] is True


async def test_only_small_pngs_of_the_converted_container_are_served(place: Place, board: Dashboard) -> None:
    place.put("converted", "a b.png", PNG)
    place.put("converted", "page.png", b"<html><script>alert(1)</script>")
    place.put("converted", "large.png", PNG + bytes(LARGEST_PICTURE))
    place.put("images", "secret.png", PNG)
    good = await board.png("a b.png")
    assert (good.status, good.content_type, good.body) == (200, "image/png", PNG)
    assert good.headers["X-Content-Type-Options"] == "nosniff"
    assert (await board.png("page.png")).status == 415
    assert (await board.png("large.png")).status == 413
    assert (await board.png("secret.png")).status == 404
    assert (await board.png("../images/secret.png")).status == 404
    assert (await board.png("..\\images\\secret.png")).status == 404
    assert (await board.png("")).status == 404


async def test_the_quarantine_comes_in_pages_with_names_as_they_are(place: Place, board: Dashboard) -> None:
    for number in range(60):
        place.put("quarantine", f"{number:03}.jpg", b"{}", reason="truncated", source_etag="e")
    place.put("quarantine", HOSTILE, b"{}", reason="not-a-jpeg", source_etag="e")
    first = told(await board.quarantine(""))
    rest = told(await board.quarantine(first["next"]))
    names = [one["name"] for one in (*first["shown"], *rest["shown"])]
    assert len(first["shown"]) == 50
    assert len(names) == 61
    assert HOSTILE in names
    assert rest["next"] == ""


async def test_replay_brings_an_image_back_as_an_arrival(place: Place, app: App, board: Dashboard) -> None:
    etag = place.put("images", "a.jpg")
    document = Quarantined(
        name="a.jpg", etag=etag, size=1, reason="truncated", detail="", when="t", attempts=1, manifest="m"
    )
    place.put("quarantine", "a.jpg", quarantine.to_bytes(document), reason="truncated", source_etag=etag)
    assert told(await board.replay({"names": ["a.jpg", "not-there.jpg"]}))["replayed"] == 1
    inboxes = [name for name in place.names("manifests") if name.startswith("inbox/")]
    assert b'"via":"replay"' in place.read("manifests", inboxes[0])


@pytest.mark.parametrize(
    "body", [None, [], {}, {"names": []}, {"names": "a.jpg"}, {"names": [1]}, {"names": ["a"] * 501}]
)
async def test_a_replay_of_anything_but_a_list_of_names_is_refused(board: Dashboard, body: object) -> None:
    assert (await board.replay(body)).status == 400


@pytest.mark.parametrize("minutes", ["", "7", "1e9", "sixty", "-15"])
async def test_a_series_has_one_of_the_spans(board: Dashboard, minutes: str) -> None:
    assert (await board.series(minutes)).status == 400


async def test_the_series_is_read_from_the_journals(app: App, board: Dashboard) -> None:
    now = datetime.now(UTC)
    await app.journal.append(Line(at=now.isoformat(), stage="collect", seconds=1, counts={"converted": 12}))
    await app.journal.append(Line(at=now.isoformat(), stage="dispatch", seconds=1, counts={"nodes_idle": 2}))
    series = told(await board.series("15"))
    assert sum(value or 0 for value in series["converted"]) > 0
    assert 2 in series["nodes"]


async def test_the_log_of_a_manifest_without_a_task_is_not_found(place: Place, board: Dashboard) -> None:
    seal(place, "m1", ["a.jpg"], job="")
    assert (await board.log("m1")).status == 404
    assert (await board.log("never")).status == 404
    assert (await board.log("../archive/x")).status == 404


async def test_a_stage_that_failed_is_a_trouble(app: App, board: Dashboard) -> None:
    error = {"code": "AccessDeniedError", "message": "could not list manifests"}
    await app.journal.write(StageState(stage="dispatch", finished="2026-11-21T10:00:00+00:00", ok=False, error=error))
    trouble = told(await board.data())["troubles"][0]
    assert trouble["code"] == "AccessDeniedError"
    assert "could not list manifests" in trouble["what"]
