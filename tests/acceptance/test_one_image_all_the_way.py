"""Drop a JPG, find its PNG: through `localcloud up` as a process, with the project's own application."""

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient
from PIL import Image, ImageChops

from tests.localcloud.up.conftest import ROOT, Start, Up, wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.azurite, pytest.mark.timeout(400)]

FAST = ("--speed", "60")


def _start_drop(up: Up, count: int, *, seed: int = 1, prefix: str = "") -> "subprocess.Popen[str]":
    """Another process uploads."""
    script = [sys.executable, str(Path(__file__).with_name("drop.py")), up.endpoints["connection_string"]]
    return subprocess.Popen([*script, str(count), str(seed), prefix], stdout=subprocess.PIPE, text=True)


def _drop(up: Up, count: int, *, seed: int = 1, prefix: str = "") -> dict[str, bytes]:
    """Upload `count` images and return them by name."""
    output, _ = _start_drop(up, count, seed=seed, prefix=prefix).communicate(timeout=120)
    return _dropped(output)


def _dropped(output: str) -> dict[str, bytes]:
    return {entry["name"]: bytes.fromhex(entry["data"]) for entry in map(json.loads, output.splitlines())}


def _same_pixels(jpeg: bytes, png: bytes) -> bool:
    with Image.open(io.BytesIO(jpeg)) as source, Image.open(io.BytesIO(png)) as result:
        return (
            result.format == "PNG"
            and source.size == result.size
            and ImageChops.difference(source, result).getbbox() is None
        )


def _wait_for_pngs(up: Up, images: dict[str, bytes]) -> None:
    """Until the PNG of each image is there and shows its picture; and no other PNG is."""
    with ContainerClient.from_connection_string(up.endpoints["connection_string"], "converted") as converted:
        missing = set(images)

        def all_right() -> bool:
            for name in sorted(missing):
                try:
                    png = converted.download_blob(name.removesuffix(".jpg") + ".png").readall()
                except ResourceNotFoundError:
                    return False
                if not _same_pixels(images[name], png):
                    return False
                missing.discard(name)
            return True

        wait_for(all_right, what=f"PNGs of {len(images)} images; {up.output.read_text()}", seconds=180)
        assert {blob.name for blob in converted.list_blobs()} == {name.removesuffix(".jpg") + ".png" for name in images}


def test_dropped_images_become_right_pngs_and_a_new_version_replaces_its_png(start_up: Start) -> None:
    up = start_up(*FAST, root=ROOT)
    images = _drop(up, 40)
    _wait_for_pngs(up, images)
    again = _drop(up, 1, seed=2)
    assert set(again) <= set(images)
    _wait_for_pngs(up, images | again)
    assert up.stop() == 0
    assert not up.left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_end_in_the_middle_and_a_new_start_come_to_the_same(start_up: Start, number: signal.Signals) -> None:
    """Stopped, or killed, while images are on their way; nothing is dropped again."""
    up = start_up(*FAST, root=ROOT)
    images = _drop(up, 30)
    with ContainerClient.from_connection_string(up.endpoints["connection_string"], "manifests") as manifests:
        wait_for(lambda: any(manifests.list_blob_names()), what="the work has begun")
    up.stop(number)
    again = start_up(*FAST, root=ROOT, data=up.data)
    assert not up.left()
    _wait_for_pngs(again, images)
    assert again.stop() == 0
    assert not again.left()


def test_a_stop_while_images_are_dropped_loses_none_that_was_accepted(start_up: Start) -> None:
    """The uploader fails when storage goes; each image that it saw accepted has its PNG after the next start."""
    up = start_up(*FAST, root=ROOT)
    uploader = _start_drop(up, 400)
    assert uploader.stdout is not None
    first = [uploader.stdout.readline() for _ in range(30)]
    assert up.stop() == 0
    uploader.kill()
    rest, _ = uploader.communicate(timeout=60)
    accepted = _dropped("".join(first) + rest[: rest.rfind("\n") + 1])
    assert 30 <= len(accepted) < 400
    again = start_up(*FAST, root=ROOT, data=up.data)
    with ContainerClient.from_connection_string(again.endpoints["connection_string"], "images") as stored:
        there = {blob.name for blob in stored.list_blobs()}
    assert set(accepted) <= there
    # One more may have been stored without its uploader having heard of it.
    with ContainerClient.from_connection_string(again.endpoints["connection_string"], "images") as stored:
        unheard = {name: stored.download_blob(name).readall() for name in there - set(accepted)}
    assert len(unheard) <= 1
    _wait_for_pngs(again, accepted | unheard)


def test_the_demo_accounts_for_every_image(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "darkroom", "demo", "--images", "30"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(
        r"images=30 converted=29 quarantined=1 seconds=\d+\.\d images_per_second=\d+\.\d nodes_peak=(\d+)", last
    )
    assert found, last
    assert int(found.group(1)) >= 1
