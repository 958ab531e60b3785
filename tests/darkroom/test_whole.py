"""The command line over a whole local cloud: made, converted, told, fetched, replayed, cleaned."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom import api
from darkroom.failure import ExitCode
from tests.darkroom.places import Cli, until
from tests.dashboard.browser.run import start_cloud

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A local cloud's folder, which is a profile."""
    data = tmp_path_factory.mktemp("cloud") / "data"
    process = start_cloud(data)
    try:
        yield data
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def asked(cli: Cli, *arguments: str | Path) -> dict[str, Any]:
    """What a command says under --json."""
    ran = cli(*arguments, "--json")
    assert ran.out, ran.err
    told: dict[str, Any] = json.loads(ran.out)
    return told


def test_an_operators_day(cloud: Path, cli: Cli, tmp_path: Path) -> None:
    """Drop, run, look, fetch, report, cost, replay, clean: each command on what the one before left."""
    at = ("--profile", str(cloud))
    (tmp_path / "bad.jpg").write_bytes(b"no JPEG")
    asked(cli, "make-images", "6", "--width", "64", "--height", "48", *at)
    cli("drop", tmp_path / "bad.jpg", *at)

    def settled() -> bool:
        told = asked(cli, "status", *at)
        return bool(told["totals"].get("images", 0) >= 7 and not told["open_manifests"] and not told["waiting"])

    until(settled, seconds=150)
    assert asked(cli, "status", *at)["quarantined"] == 1
    assert asked(cli, "why", *at)["blocked"] is False
    story = asked(cli, "why", "test-images/image-000001.jpg", *at)
    assert story["verdict"] == "done"
    assert [step["place"] for step in story["steps"]] == ["image", "PNG", "past"]
    assert asked(cli, "why", "bad.jpg", *at)["verdict"] == "quarantined"
    assert asked(cli, "fetch", tmp_path / "pngs", *at)["fetched"] == 6
    assert asked(cli, "report", *at)["by_result"]["rejected"] == 1
    cost = asked(cli, "cost", "--since", "1h", "--price", "1", *at)
    assert cost["images"] == 6
    assert asked(cli, "clean", "pngs", "--yes", *at)["removed"] == {"converted": 6}
    assert asked(cli, "sweep", "--dry-run", "--min-age", "0", *at)["counts"]["missing"] == 6
    run = cli("run", "--tasks", "2", "--wait", "--timeout", "150", "--json", *at)
    told = json.loads(run.out)
    assert (run.code, told["counts"], len(told["manifests"])) == (ExitCode.OK, {"converted": 6}, 2)
    assert asked(cli, "run", *at)["images"] == 0
    assert asked(cli, "quarantine", "replay", "--all", *at)["replayed"] == 1
    ran = cli("logs", told["manifests"][0], *at)
    assert ran.code == ExitCode.OK
    assert "image-00000" in ran.out


def test_a_program_starts_a_run_waits_reads_and_cleans_up(cloud: Path, cli: Cli) -> None:
    """The Python API does what `darkroom run` does, and finds a run again by its id."""
    at = ("--profile", str(cloud))
    asked(cli, "make-images", "4", "--prefix", "api/", "--width", "64", "--height", "48", *at)
    with api.system(str(cloud)) as system:
        run = system.start(prefix="api/", tasks=2)
        result = system.wait(system.find(run.id), seconds=200)
        outcomes = system.outcomes(run)
        assert result.finished
        assert run.images == 0 or result.right
        assert len(outcomes) == run.images
        assert system.clean_up(run) >= len(run.manifests)
        assert system.outcomes(run) == []
