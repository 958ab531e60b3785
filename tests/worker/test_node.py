"""A task as Batch runs it: a real process, a real Azurite, real images."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from shared.manifest import Entry
from shared.outcome import Result
from tests.worker.account import Account
from tests.worker.jpegs import flat, jpeg, stored

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0
pytestmark = pytest.mark.azurite


@contextmanager
def task(environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m worker` with an environment of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", *arguments],
        cwd=ROOT,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def run(environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    with task(environ, *arguments) as process:
        out, _ = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        return process.returncode, out


async def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await asyncio.to_thread(process.stdout.readline)


async def test_a_manifest_becomes_pngs_and_outcomes(account: Account) -> None:
    """Good, odd and bad images, replaced and deleted ones, in one task that succeeds."""
    odd = ["orient_Portrait_6.jpg", "icc_ps_cmyk.icc_cmyk.jpg", "pil_hopper_gray.jpg"]
    entries = [await account.drop(f"in/ü {name}", stored("odd", name)) for name in odd]
    bad = await account.drop("in/bad.jpg", stored("bad", "gif_named.jpg"))
    replaced = await account.drop("in/replaced.jpg", jpeg())
    await account.drop("in/replaced.jpg", jpeg((9, 9)))
    gone = Entry(name="in/gone.jpg", etag="0x1", size=5)
    await account.seal("m1", [*entries, bad, replaced, gone])
    code, out = await run(account.environ("m1"))
    assert code == 0, out
    ((*outcomes,),) = await account.outcomes("m1")
    results = {outcome.name: (outcome.result, outcome.reason) for outcome in outcomes}
    assert results == {
        **{entry.name: (Result.CONVERTED, "") for entry in entries},
        bad.name: (Result.REJECTED, "not-a-jpeg"),
        replaced.name: (Result.SUPERSEDED, ""),
        gone.name: (Result.DELETED, ""),
    }
    assert sorted(await account.names(account.settings.converted)) == sorted(
        entry.name.removesuffix(".jpg") + ".png" for entry in entries
    )
    with Image.open(
        io.BytesIO(await account.download(account.settings.converted, "in/ü orient_Portrait_6.png"))
    ) as png:
        assert png.size == (1200, 1800)
    assert "[6/6]" in out
    assert "converted=3 superseded=1 deleted=1 rejected=1" in out


async def test_a_second_run_redoes_nothing(account: Account) -> None:
    """Every image has an outcome: not one GET of an image, no new outcome blob."""
    entries = [await account.drop(f"{number}.jpg", jpeg((20, 20))) for number in range(5)]
    await account.seal("m2", entries)
    assert (await run(account.environ("m2")))[0] == 0
    code, out = await run(account.environ("m2"))
    assert (code, "5 of 5 images have an outcome" in out) == (0, True)
    assert len(await account.outcomes("m2")) == 1


async def test_killed_in_the_middle_a_second_run_finishes_the_rest(account: Account) -> None:
    """kill -9 amid 500 images: 500 outcomes in the end, and only those in flight are looked at twice."""
    data = jpeg((400, 300))
    entries = [await account.drop(f"{number:03}.jpg", data) for number in range(500)]
    await account.seal("m3", entries)
    with task(account.environ("m3")) as process:
        while "[150/500]" not in await line(process):
            assert process.poll() is None
        process.kill()
        await asyncio.to_thread(process.wait)
    first = [outcome for blob in await account.outcomes("m3") for outcome in blob]
    assert 50 <= len(first) < 500
    code, out = await run(account.environ("m3"))
    assert code == 0, out
    every = [outcome for blob in await account.outcomes("m3") for outcome in blob]
    assert sorted(outcome.key for outcome in every) == sorted(entry.key for entry in entries)
    again = sum(outcome.result is Result.CURRENT for outcome in every)
    assert len(await account.names(account.settings.converted)) == 500
    lanes = 6 * (os.cpu_count() or 1)
    assert again <= 50 + 2 * lanes, "more than a group of outcomes and what was in flight was done twice"


async def test_a_nodes_notice_ends_the_run_with_everything_told(account: Account) -> None:
    """SIGTERM: no new image, what runs is finished or abandoned within the grace, outcomes are written, exit 1."""
    entries = [await account.drop(f"{number:03}.jpg", jpeg((400, 300))) for number in range(300)]
    await account.seal("m4", entries)
    with task(account.environ("m4")) as process:
        while "[20/300]" not in await line(process):
            assert process.poll() is None
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert process.returncode == 1
        assert time.monotonic() - started < 20
    told = [outcome.name for blob in await account.outcomes("m4") for outcome in blob]
    made = {name.removesuffix(".png") for name in await account.names(account.settings.converted)}
    assert 20 <= len(told) < 300
    assert made == {name.removesuffix(".jpg") for name in told}
    assert f"left={300 - len(told)}" in out


async def test_what_hangs_at_a_notice_is_abandoned(account: Account) -> None:
    """A decoder that never answers does not hold the node back, and leaves no process behind."""
    data = flat((4000, 4000))
    entries = [await account.drop(f"big{number}.jpg", data) for number in range(40)]
    await account.seal("m5", entries)
    environ = account.environ("m5") | {"WORKER_GRACE": "0.2", "WORKER_PROCESSES": "1"}
    with task(environ) as process:
        await asyncio.to_thread(catches_sigterm, process.pid)
        child = child_of(process.pid)
        os.kill(child, signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert process.returncode == 1
        assert not exists(child)


def catches_sigterm(pid: int) -> None:
    """Waits until a process has a handler for SIGTERM."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        caught = next(text for text in status.splitlines() if text.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("SIGTERM is not heeded")


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def child_of(pid: int) -> int:
    """The first child of a process."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


async def test_storage_that_goes_away_fails_the_task_not_the_images(account: Account, unused_tcp_port: int) -> None:
    """Exit 1, and no image is called rejected."""
    environ = account.environ("m6") | {
        "STORAGE_CONNECTION_STRING": f"BlobEndpoint=http://127.0.0.1:{unused_tcp_port}/devstoreaccount1",
        "WORKER_STORAGE_RETRIES": "0",
    }
    code, out = await run(environ)
    assert code == 1
    assert "a retry may finish it" in out


@pytest.mark.parametrize(
    ("change", "arguments", "code", "words"),
    [
        ({"DARKROOM_MANIFEST": ""}, (), 2, "DARKROOM_MANIFEST"),
        ({"WORKER_MAX_PIXELS": "many"}, (), 2, "WORKER_MAX_PIXELS"),
        ({"STORAGE_CONNECTION_STRING": ""}, (), 2, "STORAGE_ACCOUNT_URL"),
        ({"MANIFESTS_CONTAINER": "nowhere"}, (), 3, "'nowhere' does not exist"),
        ({"DARKROOM_MANIFEST": "sealed/none.json"}, (), 3, "the manifest is not there"),
        ({"IMAGES_CONTAINER": "nowhere"}, ("--prefix", ""), 3, "'nowhere' does not exist"),
        ({}, ("--prefix", "no/such/"), 4, "no images"),
        ({}, ("--first",), 2, "--prefix"),
        ({}, ("--prefix", "", "--task-id", "2", "--total-tasks", "2"), 2, "--task-id"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
async def test_what_is_wrong_has_a_clear_exit(
    account: Account, change: dict[str, str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    """An exit code of its own, and a line that names the thing."""
    got, out = await run(account.environ("m7") | change, *arguments)
    assert got == code, out
    assert words in out
    assert "Traceback" not in out


async def test_a_manifest_of_another_schema_is_refused(account: Account) -> None:
    """Not guessed at: exit 2, with what to do."""
    await account.upload(account.settings.manifests, "sealed/m8.json", b'{"kind":"manifest","schema":99}')
    code, out = await run(account.environ("m8"))
    assert code == 2
    assert "schema version 99" in out


async def test_a_missing_container_of_images_fails_the_run(account: Account) -> None:
    """A wrong setting must not make outcomes of good images."""
    await account.seal("m9", [Entry(name="a.jpg", etag="0x1", size=1)])
    code, out = await run(account.environ("m9") | {"IMAGES_CONTAINER": "nowhere"})
    assert code == 3, out
    assert await account.outcomes("m9") == []


async def test_batch_jobs_by_hand_share_a_listing(account: Account) -> None:
    """Every Nth image of the sorted listing, or the first one alone; other files are no images."""
    for name in ("p/b.jpg", "p/a.JPG", "p/c.jpeg", "p/readme.txt", "q/d.jpg"):
        await account.drop(name, jpeg((8, 8)))
    code, out = await run(account.environ(), "--prefix", "p/", "--first")
    assert (code, await account.names(account.settings.converted)) == (0, ["p/a.png"]), out
    for task_id in ("0", "1"):
        assert (await run(account.environ(), "--prefix", "p/", "--task-id", task_id, "--total-tasks", "2"))[0] == 0
    assert await account.names(account.settings.converted) == ["p/a.png", "p/b.png", "p/c.png"]


async def test_the_json_log_is_one_object_a_line(account: Account) -> None:
    """For whoever reads stdout.txt with a program."""
    await account.seal("m10", [await account.drop("a.jpg", jpeg()), await account.drop("b.jpg", b"text")])
    _, out = await run(account.environ("m10"), "--log", "json")
    lines = [json.loads(text) for text in out.splitlines()]
    assert [item["event"] for item in lines] == ["image", "image", "summary"]
    assert {item.get("reason") for item in lines[:2]} == {"", "not-a-jpeg"}
    assert lines[2]["converted"] == lines[2]["rejected"] == 1
