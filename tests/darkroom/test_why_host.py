"""Whether the function app is there, loads, and lets one in: the local Functions host as a process, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.why.finding import Code
from tests.darkroom.host import running_host
from tests.darkroom.places import until
from tests.darkroom.system import System
from tests.darkroom.test_why_stages import sas

pytestmark = pytest.mark.azurite
NEVER = {"DISPATCH_SCHEDULE": "0 0 0 29 2 *", "COLLECT_SCHEDULE": "0 0 0 29 2 *", "SWEEP_SCHEDULE": "0 0 0 29 2 *"}
BROKEN = "import a_package_that_nobody_installed\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The folder of an app that cannot be imported."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text('{"version": "2.0"}')
    (app / "function_app.py").write_text(BROKEN)
    return app


@pytest.mark.provokes(Code.HOST_DOWN, Code.HOST_KEY_REFUSED, Code.TIMER_LATE)
def test_a_host_that_runs_and_is_then_stopped(system: System, tmp_path: Path) -> None:
    """While it runs its timers keep the stages young, and only a wrong key is told; then it is down, they are late."""
    schedules = {"DISPATCH_SCHEDULE": "* * * * * *", "COLLECT_SCHEDULE": "* * * * * *"}
    storage = {"AzureWebJobsStorage": system.environ()["STORAGE_CONNECTION_STRING"]}
    with running_host(tmp_path, system.environ() | schedules | storage) as host:
        until(lambda: b"* * * * * *" in system.place.read("manifests", "state/dispatch.json"))
        until(lambda: b"* * * * * *" in system.place.read("manifests", "state/collect.json"))
        well = system.why(**host.environ)
        assert {code for code in well if code.startswith(("host-", "timer-", "app-", "stage-", "probe-"))} == set()
        refused = system.why(**host.environ | {"DARKROOM_FUNCTIONS_KEY": "wrong"})
        assert refused["host-key-refused"]["weight"] == "note"
        assert "app-does-not-load" not in refused
        host.stop()
        down = system.why(**host.environ)
        assert down["host-down"]["weight"] == "blocked"
        until(lambda: "timer-late" in system.why("--patience", "1", **host.environ))


@pytest.mark.parametrize("master", [False, True], ids=["with a function key", "with the master key"])
@pytest.mark.provokes(Code.APP_DOES_NOT_LOAD)
def test_an_app_that_cannot_be_imported(system: System, tmp_path: Path, broken: Path, *, master: bool) -> None:
    """Who has the master key is also told the error."""
    with running_host(tmp_path, system.environ(), app=broken) as host:
        found = system.why(**host.environ, **({"DARKROOM_MASTER_KEY": host.master_key} if master else {}))
    assert found["app-does-not-load"]["weight"] == "blocked"
    assert any("a_package_that_nobody_installed" in line for line in found["app-does-not-load"]["evidence"]) is master


@pytest.mark.provokes(Code.STAGE_FAILED)
def test_an_app_with_a_wrong_setting_names_it(system: System, tmp_path: Path) -> None:
    with running_host(tmp_path, system.environ() | NEVER | {"POOL_MAX_NODES": "many"}) as host:
        found = system.why(**host.environ)["stage-failed"]
    assert found["weight"] == "blocked"
    assert "POOL_MAX_NODES" in found["evidence"][0]


@pytest.mark.provokes(Code.PERMISSION_DENIED)
def test_an_app_that_may_not_even_write_its_state_is_told_its_role_by_its_status(
    system: System, tmp_path: Path
) -> None:
    environ = system.environ() | NEVER | {"STORAGE_CONNECTION_STRING": sas(system, without="read")}
    with running_host(tmp_path, environ) as host:
        found = system.why(**host.environ)["permission-denied"]
    assert found["weight"] == "blocked"
    assert "Darkroom blob keeper" in found["advice"]
