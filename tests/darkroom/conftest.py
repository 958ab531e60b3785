"""A real Azurite for the command line's tests, containers of their own for each test, and the command line itself."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from darkroom.__main__ import main
from tests.darkroom.places import CONTAINERS, KEY, Cli, LocalBatch, Place, Ran, running_azurite, running_batch
from tests.darkroom.system import System


@pytest.fixture(scope="session")
def azurite_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an Azurite of this session's own, in memory, on a free port."""
    with running_azurite(tmp_path_factory.mktemp("azurite")) as url:
        yield url


@pytest.fixture
def place(azurite_url: str) -> Iterator[Place]:
    """Storage with empty containers that no other test shares."""
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={azurite_url};"
    )
    mark = uuid.uuid4().hex[:8]
    environ = {f"{name.upper()}_CONTAINER": f"{name}-{mark}" for name in CONTAINERS}
    environ |= {"STORAGE_CONNECTION_STRING": connection, "BATCH_ENDPOINT": "http://127.0.0.1:9"}
    with BlobServiceClient.from_connection_string(connection) as service:
        for name in CONTAINERS:
            service.create_container(environ[f"{name.upper()}_CONTAINER"])
        yield Place(service=service, environ=environ)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Calls the command line in a folder of its own: `cli("drop", path, environ=place.environ)`."""

    def call(*arguments: str | Path, environ: dict[str, str] | None = None) -> Ran:
        for key in list(os.environ):
            if key.startswith(("STORAGE_", "BATCH_", "DARKROOM_")):
                monkeypatch.delenv(key)
        for key, value in (environ or {}).items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        sys.stdout.flush()
        captured = capsys.readouterr()
        return Ran(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    return call


@pytest.fixture(autouse=True)
def seen(request: pytest.FixtureRequest) -> Iterator[set[str]]:
    """The codes that `darkroom why` told of in a test: at its end all those that it is marked to provoke."""
    told: set[str] = set()
    yield told
    wanted = {code for mark in request.node.iter_markers("provokes") for code in mark.args}
    assert wanted <= told, f"darkroom why did not tell of {wanted - told}"


@pytest.fixture
def system(place: Place, batch: LocalBatch, cli: Cli, seen: set[str]) -> Iterator[System]:
    """A system of the test's own whose timers have fired once, with nothing to do."""
    with batch.client() as client:
        made = System(place=place, batch=batch, client=client, pool=f"p{uuid.uuid4().hex[:8]}", cli=cli, seen=seen)
        made.run_timers()
        yield made
    batch.order("quotas", activeJobs=300, lowPriorityCores=500)


@pytest.fixture(scope="session")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    """A local Batch service of this session's own, sixty times as fast as Azure's clocks."""
    with running_batch(tmp_path_factory.mktemp("batch"), speed=60) as found:
        yield found
