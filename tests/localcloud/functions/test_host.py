"""The host as a process: addresses, keys, the webhook, the administrative doors."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.localcloud.functions.conftest import ROOT, SAMPLE, RunningHost, Start


async def _ask(
    host: RunningHost,
    method: str,
    path: str,
    *,
    key: str = "",
    body: object = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str, dict[str, str]]:
    sent = {**({"x-functions-key": key} if key else {}), **(headers or {})}
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, host.url + path, headers=sent, data=data) as response,
    ):
        return response.status, await response.text(), dict(response.headers)


async def test_an_http_function_gets_the_request_and_answers_with_its_own(host: RunningHost) -> None:
    status, text, headers = await _ask(host, "POST", "/api/hello/ann?q=1&q=2", key=host.keys.default, body="ü".encode())
    assert status == 200
    assert json.loads(text) == {"name": "ann", "q": "1,2", "body": "ü"}
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Sample"] == "yes"


async def test_a_plain_string_is_an_answer(host: RunningHost) -> None:
    status, text, headers = await _ask(host, "GET", "/api/open")
    assert (status, text) == (200, "open")
    assert headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/hello/ann", 401),  # level function, no key
        ("PUT", "/api/hello/ann", 404),  # no such method
        ("GET", "/api/hello/1", 404),  # the constraint does not fit
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing", 404),
        ("POST", "/api/publish", 401),
        ("GET", "/admin/host/status", 401),
        ("POST", "/admin/functions/tick", 401),
        ("POST", "/runtime/webhooks/EventGrid?functionName=copy", 401),
        ("GET", "/", 200),
    ],
)
async def test_what_is_answered_without_a_key(host: RunningHost, method: str, path: str, status: int) -> None:
    assert (await _ask(host, method, path))[0] == status


async def test_a_key_may_be_in_the_address(host: RunningHost) -> None:
    assert (await _ask(host, "GET", f"/api/hello/ann?code={host.keys.default}"))[0] == 200
    assert (await _ask(host, "GET", "/api/hello/ann?code=wrong"))[0] == 401


async def test_a_function_key_does_not_open_an_admin_function(host: RunningHost) -> None:
    assert (await _ask(host, "POST", "/api/publish", key=host.keys.default))[0] == 401


async def test_a_failing_function_tells_the_log_and_not_the_caller(host: RunningHost) -> None:
    status, text, _ = await _ask(host, "GET", "/api/broken")
    assert (status, text) == (500, "")
    log = host.log.read_text()
    assert "RuntimeError: a secret of the inside" in log
    assert "Traceback" in log


async def test_the_status_and_the_functions_are_for_the_master_key(host: RunningHost) -> None:
    status, text, _ = await _ask(host, "GET", "/admin/host/status", key=host.keys.master)
    assert status == 200
    assert json.loads(text)["state"] == "Running"
    _, text, _ = await _ask(host, "GET", "/admin/functions", key=host.keys.master)
    functions = {function["name"]: function for function in json.loads(text)}
    assert functions["hello"]["invoke_url_template"] == f"{host.url}/api/hello/{{name:alpha?}}"
    assert set(functions) == {"copy", "hear", "tick", "hello", "open_door", "broken", "publish"}


async def test_a_function_is_run_by_hand_and_the_answer_does_not_wait(host: RunningHost) -> None:
    status, _, _ = await _ask(host, "POST", "/admin/functions/hello", key=host.keys.master, body={"input": "x"})
    assert status == 202
    deadline = time.monotonic() + 20
    while "Executed 'Functions.hello' (Succeeded" not in host.log.read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("name", "body", "status"), [("nobody", {}, 404), ("hello", b"no json", 400)])
async def test_a_wrong_run_by_hand_is_refused(host: RunningHost, name: str, body: object, status: int) -> None:
    assert (await _ask(host, "POST", f"/admin/functions/{name}", key=host.keys.master, body=body))[0] == status


async def _webhook(host: RunningHost, kind: str, body: object, function: str = "hear") -> tuple[int, str]:
    path = f"/runtime/webhooks/EventGrid?functionName={function}&code={host.keys.event_grid}"
    status, text, _ = await _ask(host, "POST", path, body=body, headers={"aeg-event-type": kind})
    return status, text


async def test_the_handshake_is_answered_with_its_code(host: RunningHost) -> None:
    status, text = await _webhook(host, "SubscriptionValidation", [{"data": {"validationCode": "c-1"}}])
    assert (status, json.loads(text)) == (200, {"validationResponse": "c-1"})


@pytest.mark.parametrize(
    ("kind", "body", "function", "status"),
    [
        ("Notification", [{}], "nobody", 404),
        ("Unsubscribe", [], "hear", 202),
        ("Something", [], "hear", 400),
        ("Notification", b"no json", "hear", 400),
        ("SubscriptionValidation", [], "hear", 400),
    ],
)
async def test_what_else_the_webhook_answers(
    host: RunningHost, kind: str, body: object, function: str, status: int
) -> None:
    assert (await _webhook(host, kind, body, function))[0] == status


def _app(folder: Path, body: str) -> Path:
    folder.mkdir()
    (folder / "host.json").write_text('{"version": "2.0", "functionTimeout": "00:00:01"}')
    (folder / "function_app.py").write_text(
        "import asyncio\nimport azure.functions as func\napp = func.FunctionApp()\n" + body
    )
    return folder


_TOGETHER = """
waiting = []
@app.event_grid_trigger(arg_name="event")
async def meet(event: func.EventGridEvent) -> None:
    future = asyncio.get_running_loop().create_future()
    waiting.append(future)
    if len(waiting) == 20:
        for one in waiting:
            one.set_result(None)
    await future
    if event.id == "bad":
        raise ValueError("bad")
"""


def _event(id_: str) -> dict[str, object]:
    return {"id": id_, "topic": "t", "subject": "s", "eventType": "e", "eventTime": "2026-01-01T00:00:00Z", "data": {}}


async def test_the_events_of_a_delivery_run_at_once(start_host: Start, tmp_path: Path) -> None:
    """Each of twenty waits for all: only together they end, and well within the time limit."""
    host = start_host(_app(tmp_path / "app", _TOGETHER))
    assert (await _webhook(host, "Notification", [_event(str(n)) for n in range(20)], "meet"))[0] == 202


async def test_one_failure_fails_the_delivery(start_host: Start, tmp_path: Path) -> None:
    host = start_host(_app(tmp_path / "app", _TOGETHER))
    events = [_event("bad"), *(_event(str(n)) for n in range(19))]
    assert (await _webhook(host, "Notification", events, "meet"))[0] == 500
    assert host.log.read_text().count("(Succeeded") == 19


async def test_a_function_that_runs_too_long_fails(start_host: Start, tmp_path: Path) -> None:
    host = start_host(_app(tmp_path / "app", _TOGETHER))
    assert (await _webhook(host, "Notification", [_event("alone")], "meet"))[0] == 500
    assert "TimeoutError" in host.log.read_text()


async def test_a_return_without_a_binding_fails(start_host: Start, tmp_path: Path) -> None:
    body = "@app.event_grid_trigger(arg_name='event')\ndef give(event: func.EventGridEvent):\n    return 1\n"
    host = start_host(_app(tmp_path / "app", body))
    assert (await _webhook(host, "Notification", [_event("1")], "give"))[0] == 500
    assert "non-None" in host.log.read_text()


async def test_an_app_that_does_not_load_is_refused_as_a_whole_and_says_why(start_host: Start, tmp_path: Path) -> None:
    host = start_host(_app(tmp_path / "app", "import worker\n"))
    assert (await _ask(host, "GET", "/api/anything"))[0] == 503
    assert (await _webhook(host, "Notification", [_event("1")]))[0] == 503
    _, text, _ = await _ask(host, "GET", "/admin/host/status", key=host.keys.master)
    status = json.loads(text)
    assert status["state"] == "Error"
    assert "worker" in status["errors"][0]


async def test_local_settings_reach_the_app_and_the_environment_wins(start_host: Start, tmp_path: Path) -> None:
    root = _app(
        tmp_path / "app",
        "import os\n@app.route(route='o', auth_level='anonymous')\n"
        "def o(req: func.HttpRequest) -> str:\n    return os.environ['A'] + os.environ['B']\n",
    )
    document = {"IsEncrypted": False, "Values": {"A": "file", "B": "file"}}
    (root / "local.settings.json").write_text(json.dumps(document))
    host = start_host(root, A="environment")
    assert (await _ask(host, "GET", "/api/o"))[1] == "environmentfile"


async def test_sigterm_lets_a_running_invocation_end(start_host: Start, tmp_path: Path) -> None:
    """The invocation ends by itself while the host stops; its end is in the log."""
    root = _app(
        tmp_path / "app",
        "@app.route(route='slow', auth_level='anonymous')\n"
        "async def slow(req: func.HttpRequest) -> str:\n    await asyncio.sleep(0.7)\n    return 'done'\n",
    )
    host = start_host(root)
    assert (await _ask(host, "POST", "/admin/functions/slow", key=host.keys.master, body={}))[0] == 202
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(timeout=20) == 0
    assert "Executed 'Functions.slow' (Succeeded" in host.log.read_text()


async def test_a_hanging_sync_function_does_not_hold_up_the_stop(start_host: Start, tmp_path: Path) -> None:
    root = _app(
        tmp_path / "app",
        "import time\n@app.route(route='hang', auth_level='anonymous')\n"
        "def hang(req: func.HttpRequest) -> str:\n    time.sleep(600)\n    return ''\n",
    )
    host = start_host(root)
    assert (await _ask(host, "POST", "/admin/functions/hang", key=host.keys.master, body={}))[0] == 202
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(timeout=30) == 0


def test_a_busy_port_is_one_clear_line(host: RunningHost, tmp_path: Path) -> None:
    port = host.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "localcloud.functions", "--app-root", str(SAMPLE), "--port", port]
    done = subprocess.run(
        [*command, "--keys", str(tmp_path / "k.json")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == f"port {port} for functions is in use: stop the other program or pass --port PORT (0 picks one)\n"
    )
