"""infra/local.json, the data folder, the clock, and the leash."""

import json
import os
import socket
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from localcloud.clock import Clock
from localcloud.errors import StartError
from localcloud.loopback import free_port, is_free, require_free
from localcloud.up.command import summary
from localcloud.up.datadir import DataDir
from localcloud.up.deployment import fill, read_deployment
from localcloud.up.hostchild import find_func, host_child

ROOT = Path(__file__).parents[3]


def _write(folder: Path, document: object) -> Path:
    path = folder / "local.json"
    path.write_text(json.dumps(document))
    return path


def test_the_projects_own_deployment_is_read() -> None:
    deployment = read_deployment(ROOT / "infra" / "local.json")
    assert "images" in deployment.containers
    assert [subscription.function for subscription in deployment.subscriptions] == ["ingest"]
    assert deployment.batch


def test_an_empty_deployment_has_batch_and_nothing_else(tmp_path: Path) -> None:
    deployment = read_deployment(_write(tmp_path, {}))
    assert deployment.batch
    assert not deployment.containers
    assert not deployment.subscriptions


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "must hold an object"),
        ({"container": []}, "unknown key 'container'"),
        ({"containers": ["Images"]}, "no container name"),
        ({"containers": ["a--b"]}, "no container name"),
        ({"containers": "images"}, "list of strings"),
        ({"batch": "yes"}, "true or false"),
        ({"speed": 0}, "speed must be a number"),
        ({"speed": True}, "speed must be a number"),
        ({"speed": "fast"}, "speed must be a number"),
        ({"settings": {"A": 1}}, "values are strings"),
        ({"event_subscriptions": {}}, "list of objects"),
        ({"event_subscriptions": [{"name": "n"}]}, r"event_subscriptions\[0\]: function is missing"),
        ({"event_subscriptions": [{"name": "n", "function": "f"}, {"name": "N", "function": "f"}]}, "one name"),
        ({"event_subscriptions": [{"name": "n", "function": "f", "topic": "t"}]}, "no topic 't'"),
    ],
)
def test_a_wrong_deployment_names_its_key(tmp_path: Path, document: object, complaint: str) -> None:
    with pytest.raises(StartError, match=complaint):
        read_deployment(_write(tmp_path, document))


def test_a_missing_deployment_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"local\.json cannot be read"):
        read_deployment(tmp_path / "local.json")


def test_a_deployment_says_how_fast_its_clock_runs(tmp_path: Path) -> None:
    assert read_deployment(_write(tmp_path, {})).speed == 1
    assert read_deployment(_write(tmp_path, {"speed": 30})).speed == 30


def test_the_screen_names_what_runs_by_itself_and_counts_the_rest() -> None:
    kinds = {"ingest": "eventGridTrigger", "sweep": "timerTrigger", "a": "httpTrigger", "b": "httpTrigger"}
    functions = [{"name": name, "config": {"bindings": [{"type": kind}]}} for name, kind in kinds.items()]
    assert summary(functions) == "ingest, sweep and 2 over HTTP"
    assert summary(functions[:2]) == "ingest, sweep"
    assert summary([]) == "no function"


def test_templates_are_filled() -> None:
    assert fill({"A": "{x}/{{y}}"}, {"x": "1"}, where="settings") == {"A": "1/{y}"}


@pytest.mark.parametrize(
    ("template", "complaint"), [("{nothing}", "nothing is called {nothing}"), ("{", "no template")]
)
def test_a_wrong_template_names_its_key(template: str, complaint: str) -> None:
    with pytest.raises(StartError, match=complaint):
        fill({"A": template}, {"x": "1"}, where="settings")


def test_a_folder_is_used_by_one_local_cloud_at_a_time(tmp_path: Path) -> None:
    first = DataDir(tmp_path / "data")
    with pytest.raises(StartError, match="another local cloud runs"):
        DataDir(tmp_path / "data")
    first.close()
    DataDir(tmp_path / "data").close()


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartError, match="cannot be used"):
        DataDir(tmp_path / "data")


def test_a_picked_port_is_kept_for_the_next_start(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    port = data.port("storage", 0, option="--blob-port")
    assert data.port("storage", 0, option="--blob-port") == port
    data.close()


def test_a_busy_port_names_its_option() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(StartError, match=f"port {port} for storage is in use.*--blob-port"):
            require_free(port, service="storage", option="--blob-port")
    assert is_free(free_port())


def test_logs_begin_anew_and_the_last_ones_are_kept(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    for number in range(5):
        data.log("x").write_text(str(number))
    data.close()
    kept = {path.name: path.read_text() for path in data.logs.iterdir()}
    assert kept == {"x.log": "4", "x.log.1": "3", "x.log.2": "2", "x.log.3": "1"}


def test_endpoints_hold_keys_and_are_private(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.write_endpoints({"a": 1})
    path = tmp_path / "endpoints.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data.remove_endpoints()
    assert not path.exists()
    data.close()


def test_what_a_killed_run_left_is_ended_before_the_next(tmp_path: Path) -> None:
    """A process that does not end by itself is there before `end_last_run`, and not after it."""
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    data = DataDir(tmp_path)
    data.remember_processes({"azurite": left.pid})
    data.end_last_run(wait_seconds=0.1)
    assert not psutil.pid_exists(left.pid)
    left.wait(timeout=10)
    data.close()


def test_a_stranger_with_a_used_pid_is_left_alone(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    (tmp_path / "processes.json").write_text(json.dumps({"azurite": [os.getpid(), psutil.boot_time()]}))
    data.end_last_run(wait_seconds=0.1)
    data.close()


def test_a_fast_clock_runs_fast_and_knows_the_walls_time() -> None:
    clock = Clock(speed=3600)
    start = clock.now()
    time.sleep(0.05)
    assert clock.now() - start >= timedelta(seconds=180)
    later = start + timedelta(hours=2)
    assert timedelta(seconds=1.9) < clock.wall(later) - clock.wall(start) < timedelta(seconds=2.1)


async def test_sleeping_until_a_moment_ends_after_it() -> None:
    clock = Clock(speed=600)
    moment = clock.now() + timedelta(seconds=30)
    await clock.sleep_until(moment)
    assert clock.now() >= moment


def test_a_clock_does_not_stand_still() -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed=0)
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(seconds=1)


_PARENT = """
import asyncio, os, sys
from pathlib import Path
from localcloud.child import Child, ChildSpec
import re
async def main():
    child = Child(ChildSpec(name="c", command=sys.argv[2:], environment=dict(os.environ), folder=Path("."),
                            log=Path(sys.argv[1]), ready=re.compile("(up)")))
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    child = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path / "log"), *child], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    with parent.stdout:
        process = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(timeout=10)
    assert not psutil.wait_procs([process], timeout=20)[1]


def test_a_leashed_command_ends_with_its_stdin(tmp_path: Path) -> None:
    """The portable hold: only the end of stdin tells."""
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    options = ["--leashed", "--app-root", str(tmp_path), "--port", "0", "--keys", str(tmp_path / "keys.json")]
    host = subprocess.Popen(
        [sys.executable, "-m", "localcloud.functions", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    assert host.stdin is not None
    assert host.stdout is not None
    with host.stdout:
        for line in host.stdout:
            if line.startswith("ready "):
                break
        host.stdin.close()
        host.stdout.read()
    assert host.wait(timeout=20) == 0


def test_func_is_used_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    func = tmp_path / "func"
    func.write_text("#!/bin/sh\n")
    func.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_func("auto") == str(func)
    assert find_func("localcloud") is None
    monkeypatch.setenv("SOME_SETTING", "environment")
    settings = {"SOME_SETTING": "deployment", "OTHER": "deployment"}
    keys = tmp_path / "keys.json"
    spec = host_child(
        func=str(func), app_root=tmp_path, port=7071, keys=keys, log=tmp_path / "l", settings=settings, speed=1
    )
    assert spec.command == [str(func), "start", "--port", "7071"]
    assert (spec.environment["SOME_SETTING"], spec.environment["OTHER"]) == ("environment", "deployment")
    assert spec.environment["FUNCTIONS_WORKER_RUNTIME"] == "python"


def test_func_that_is_asked_for_and_missing_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_func("auto") is None
    with pytest.raises(StartError, match="--host localcloud"):
        find_func("func")
