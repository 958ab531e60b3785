"""Events that do not arrive: a whole local cloud with the real app, whose ingest cannot keep what it is brought."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from darkroom.why.events import DEAD_LETTERS
from darkroom.why.finding import Code
from tests.darkroom.places import ROOT, Cli, until
from tests.darkroom.system import findings
from tests.darkroom.test_why_host import NEVER
from tests.localcloud.up.conftest import Start
from tests.localcloud.up.conftest import start_up as start_up  # noqa: PLC0414 (a fixture, taken by name)

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(180)]
DAY_IN_SECONDS = "10000"
"""A speed at which Event Grid's day of attempts takes nine seconds."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The app as it is deployed here, but for its settings: the container of its inboxes is not there."""
    root = tmp_path / "root"
    (root / "infra").mkdir(parents=True)
    for name in ("function_app.py", "host.json", "pipeline", "shared"):
        (root / name).symlink_to(ROOT / name)
    deployment = json.loads((ROOT / "infra" / "local.json").read_text())
    settings = deployment["settings"] | NEVER | {"MANIFESTS_CONTAINER": "nowhere", "INGEST_DEADLINE": "1"}
    settings |= {"BATCH_ENDPOINT": "http://127.0.0.1:9", "BATCH_ACCOUNT": "none", "BATCH_KEY": "bm9uZQ=="}
    (root / "infra" / "local.json").write_text(json.dumps(deployment | {"settings": settings, "batch": False}))
    return root


@pytest.mark.provokes(Code.EVENTS_UNDELIVERED, Code.EVENTS_DEAD_LETTERED)
def test_events_that_the_app_cannot_keep_wait_and_are_then_given_up(
    start_up: Start, root: Path, cli: Cli, seen: set[str]
) -> None:
    """Event Grid tries for a day; each attempt reaches the app, and the app says each time that it could not."""
    up = start_up("--host", "localcloud", "--speed", DAY_IN_SECONDS, root=root)
    with ContainerClient.from_connection_string(up.endpoints["connection_string"], "images") as images:
        images.upload_blob("a.jpg", b"x")

    def told(code: Code) -> dict[str, str]:
        ran = cli("why", "--json", "--profile", up.data)
        found: dict[str, str] = findings(ran.code, ran.out, ran.err, seen).get(code, {})
        return found

    waiting: dict[str, str] = {}
    until(lambda: waiting.update(told(Code.EVENTS_UNDELIVERED)) or bool(waiting))
    assert "1 event(s) of images-to-ingest wait to be delivered to ingest" in waiting["what"]
    assert "tried in vain: 500" in waiting["evidence"][0]
    given_up: dict[str, str] = {}
    until(lambda: given_up.update(told(Code.EVENTS_DEAD_LETTERED)) or bool(given_up), seconds=60)
    assert "a.jpg" in given_up["evidence"][0]
    assert "darkroom clean dead-letters" in given_up["advice"]
    assert told(Code.EVENTS_UNDELIVERED) == {}
    ran = cli("clean", "dead-letters", "--yes", "--profile", up.data)
    assert ran.code == 0, ran.err
    assert told(Code.EVENTS_DEAD_LETTERED) == {}


def test_the_container_of_dead_letters_has_one_name_everywhere() -> None:
    """Here, on Azure, and where the command line looks."""
    subscriptions = json.loads((ROOT / "infra" / "local.json").read_text())["event_subscriptions"]
    assert {one["dead_letter_container"] for one in subscriptions} == {DEAD_LETTERS}
    assert f"var deadLetters = '{DEAD_LETTERS}'" in (ROOT / "infra" / "main.bicep").read_text()
