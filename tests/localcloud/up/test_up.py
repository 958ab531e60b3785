"""One command, all services: from a dropped blob to the function's work, through every kind of end."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

from tests.localcloud.up.conftest import Start, Up, wait_for

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(180)]


@contextmanager
def _container(up: Up, name: str) -> Iterator[ContainerClient]:
    with ContainerClient.from_connection_string(up.endpoints["connection_string"], name) as client:
        yield client


def _drop(up: Up, *names: str, body: bytes = b"1") -> dict[str, str]:
    """Upload and return each blob's ETag."""
    with _container(up, "images") as images:
        return {
            name: images.upload_blob(name, body, overwrite=True).get_blob_properties().etag.strip('"') for name in names
        }


def _copies(up: Up) -> dict[str, str]:
    with _container(up, "copies") as copies:
        return {
            blob.name: (blob.metadata or {}).get("etag", "")
            for blob in copies.list_blobs(include=["metadata"])
            if blob.name.endswith(".jpg")
        }


def _wait_for_copies(up: Up, expected: dict[str, str]) -> None:
    wait_for(lambda: _copies(up) == expected, what=f"{len(expected)} copies; {up.output.read_text()}")


def test_a_dropped_blob_is_worked_on_and_so_is_its_next_version(start_up: Start) -> None:
    up = start_up()
    first = _drop(up, "a.jpg", "b c/ü.jpg", "no.txt")
    _wait_for_copies(up, {name: etag for name, etag in first.items() if name.endswith(".jpg")})
    second = _drop(up, "a.jpg", body=b"2")
    _wait_for_copies(up, {"a.jpg": second["a.jpg"], "b c/ü.jpg": first["b c/ü.jpg"]})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_every_process_and_the_next_start_goes_on(start_up: Start, number: signal.Signals) -> None:
    """Stopped right after the drop: what was not delivered is delivered by the next start."""
    up = start_up()
    dropped = _drop(up, *(f"{n}.jpg" for n in range(30)))
    assert up.stop(number) == 0
    assert not up.left()
    assert not (up.data / "endpoints.json").exists()
    again = start_up(data=up.data)
    _wait_for_copies(again, dropped)


def test_a_killed_local_cloud_leaves_no_process_and_loses_no_event(start_up: Start) -> None:
    up = start_up()
    dropped = _drop(up, *(f"{n}.jpg" for n in range(30)))
    up.stop(signal.SIGKILL)
    again = start_up(data=up.data)  # waits for what is left of the first
    assert not up.left()
    _wait_for_copies(again, dropped)


@pytest.mark.parametrize("name", ["functions", "azurite"])
def test_a_child_that_is_killed_is_started_again(start_up: Start, name: str) -> None:
    """On the same port, said on the console, and the work goes on."""
    up = start_up("--speed", "10")
    before = up.endpoints
    pid = before["pids"][name]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: up.endpoints["pids"][name] != pid, what=f"{name} runs again")
    wait_for(lambda: f"{name} runs again" in up.output.read_text(), what="it is said")
    assert f"{name} died (SIGKILL)" in up.output.read_text()
    assert {**up.endpoints, "pids": 0} == {**before, "pids": 0}
    _wait_for_copies(up, _drop(up, "after.jpg"))


def test_events_wait_for_a_host_that_is_away(start_up: Start) -> None:
    """The host is stopped (not killed), so nothing answers; when it goes on, nothing is missing."""
    up = start_up("--speed", "60")
    host = psutil.Process(up.endpoints["pids"]["functions"])
    host.suspend()
    dropped = _drop(up, *(f"{n}.jpg" for n in range(5)))
    host.resume()
    _wait_for_copies(up, dropped)


def test_who_has_the_master_key_is_told_what_waits_to_be_delivered(start_up: Start) -> None:
    up = start_up()
    host = psutil.Process(up.endpoints["pids"]["functions"])
    address, headers = up.endpoints["events"] + "/_local/state", {"x-functions-key": up.endpoints["master_key"]}
    assert requests.get(address, timeout=10).status_code == 401

    def waiting() -> list[tuple[str, int]]:
        told = requests.get(address, headers=headers, timeout=10).json()["subscriptions"]
        return [(one["name"], one["waiting"]) for one in told if one["waiting"]]

    host.suspend()
    dropped = _drop(up, *(f"{n}.jpg" for n in range(5)))
    wait_for(lambda: waiting() == [("images-to-copy", 5)], what="five events wait")
    host.resume()
    wait_for(lambda: waiting() == [], what="none waits any more")
    _wait_for_copies(up, dropped)


def test_a_timer_of_the_app_runs(start_up: Start) -> None:
    up = start_up()

    def ticked() -> bool:
        with _container(up, "copies") as copies:
            return copies.get_blob_client("tick").exists()

    wait_for(ticked, what="the timer ran")


def test_an_event_that_the_app_publishes_reaches_its_subscriber(start_up: Start) -> None:
    up = start_up()
    headers = {"x-functions-key": up.endpoints["master_key"]}
    assert requests.post(up.endpoints["functions"] + "/api/publish", headers=headers, timeout=30).status_code == 202

    def heard() -> bool:
        with _container(up, "copies") as copies:
            return any(name.startswith("heard/") for name in copies.list_blob_names())

    wait_for(heard, what="the subscriber heard")


def test_a_poisonous_event_ends_as_a_dead_letter(start_up: Start) -> None:
    """At a speed that makes a day of retries some seconds."""
    up = start_up("--speed", "10000")
    _drop(up, "poison.jpg")

    def buried() -> bool:
        with _container(up, "deadletter") as letters:
            return any(name.startswith("IMAGES-TO-COPY/") for name in letters.list_blob_names())

    wait_for(buried, what="a dead letter")
    wait_for(lambda: "given up" in up.output.read_text(), what="it is said")


def test_two_local_clouds_live_side_by_side(start_up: Start, tmp_path: Path) -> None:
    one, other = start_up(data=tmp_path / "one"), start_up(data=tmp_path / "other")
    dropped = _drop(one, "one.jpg")
    _wait_for_copies(one, dropped)
    assert _copies(other) == {}


def test_the_screen_tells_what_is_where(start_up: Start) -> None:
    up = start_up()
    text = up.output.read_text()
    endpoints = up.endpoints
    for value in (endpoints["blob"], endpoints["functions"], endpoints["links"]["hello"], str(up.data / "logs")):
        assert value in text


def _refused(up: Up) -> str:
    assert up.process.wait(timeout=60) == 2
    return up.errors.read_text()


def test_a_busy_port_is_one_clear_line(start_up: Start) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        said = _refused(start_up("--blob-port", str(port), wait=False))
    assert said == (
        f"localcloud: port {port} for storage is in use:"
        " stop the other program or pass --blob-port PORT (0 picks one)\n"
    )


def test_a_data_folder_in_use_is_one_clear_line(start_up: Start) -> None:
    up = start_up()
    assert _refused(start_up(wait=False)) == (
        f"localcloud: another local cloud runs in {up.data}: stop it, or pass --data with another folder\n"
    )


def test_a_broken_data_folder_is_one_clear_line(start_up: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = _refused(start_up(data=tmp_path / "file", wait=False))
    assert said.startswith(f"localcloud: the data folder {tmp_path / 'file'} cannot be used")
    assert said.count("\n") == 1


def test_a_damaged_event_queue_is_one_clear_line_and_no_process_is_left(start_up: Start, tmp_path: Path) -> None:
    queue = tmp_path / "data" / "eventgrid" / "queue.db"
    queue.parent.mkdir(parents=True)
    queue.write_bytes(b"no database at all, but long enough" * 200)
    said = _refused(start_up(wait=False))
    assert "queue.db cannot be opened" in said
    assert said.count("\n") == 1


def test_a_missing_node_is_one_clear_line(start_up: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent / "nowhere"))
    said = _refused(start_up(wait=False))
    assert said.startswith("localcloud: Node was not found on PATH")
    assert said.count("\n") == 1


def test_a_folder_that_is_no_application_is_one_clear_line(start_up: Start, tmp_path: Path) -> None:
    assert "infra/local.json cannot be read" in _refused(start_up(root=tmp_path, wait=False))


def test_an_app_that_does_not_load_is_said_on_the_screen(start_up: Start, tmp_path: Path) -> None:
    """The rest runs, so that its events wait for the mended app."""
    root = tmp_path / "app"
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "local.json").write_text('{"batch": false, "containers": ["images"]}')
    (root / "host.json").write_text('{"version": "2.0"}')
    (root / "function_app.py").write_text("import nothing_like_this\n")
    up = start_up(root=root)
    assert "THE APP DOES NOT LOAD" in up.output.read_text()
    assert "nothing_like_this" in up.output.read_text()
    assert requests.get(up.endpoints["functions"] + "/api/x", timeout=10).status_code == 503


def test_storage_is_away_after_the_stop(start_up: Start) -> None:
    """Nothing answers where something answered."""
    up = start_up()
    connection_string = up.endpoints["connection_string"]
    assert up.stop() == 0
    images = ContainerClient.from_connection_string(connection_string, "images", retry_total=0)
    with images, pytest.raises(AzureError):
        images.get_container_properties()
