"""A real Azurite for the command line's tests, containers of their own for each test, and the command line itself."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from darkroom.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
AZURITE = ROOT / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's well-known key."""
CONTAINERS = ("images", "converted", "manifests", "outcomes", "quarantine", "scripts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one call of the command line did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A system's storage: containers of its own, and the environment that names them."""

    service: BlobServiceClient
    environ: dict[str, str]

    def put(self, container: str, name: str, data: bytes = b"x", **metadata: str) -> str:
        """Writes a blob; gives its ETag, bare."""
        client = self.service.get_blob_client(self.environ[f"{container.upper()}_CONTAINER"], name)
        etag: str = client.upload_blob(data, overwrite=True, metadata=metadata)["etag"]
        return etag.strip('"')

    def names(self, container: str) -> list[str]:
        """The names of a container's blobs."""
        client = self.service.get_container_client(self.environ[f"{container.upper()}_CONTAINER"])
        return [blob.name for blob in client.list_blobs()]

    def read(self, container: str, name: str) -> bytes:
        """A blob's content."""
        return (
            self.service.get_blob_client(self.environ[f"{container.upper()}_CONTAINER"], name).download_blob().readall()
        )


@pytest.fixture(scope="session")
def azurite_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an Azurite of this session's own, in memory, on a free port."""
    process = subprocess.Popen(
        [
            "node",
            str(AZURITE),
            *("--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"),
            *("--disableTelemetry", "--skipApiVersionCheck", "--silent"),
        ],
        cwd=tmp_path_factory.mktemp("azurite"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "successfully listens on " in line:
                break
        else:
            pytest.fail(f"Azurite did not start: {said}")
        watchdog.cancel()
        url = line.split("successfully listens on ", 1)[1].strip()
        yield f"{url}/devstoreaccount1"
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBatch:
    """A running local Batch service."""

    endpoint: str
    account: str
    key: str

    @property
    def environ(self) -> dict[str, str]:
        """The settings that reach it."""
        return {"BATCH_ENDPOINT": self.endpoint, "BATCH_ACCOUNT": self.account, "BATCH_KEY": self.key}

    def client(self) -> BatchClient:
        """The SDK's own client."""
        return BatchClient(self.endpoint, AzureNamedKeyCredential(self.account, self.key))

    def order(self, kind: str, **properties: object) -> None:
        """Orders misbehaviour of the service."""
        token = base64.b64encode(f"{self.account}:{self.key}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 (our own service on loopback)
            f"{self.endpoint}/_local/{kind}",
            data=json.dumps(properties).encode(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (as above)
            assert answer.status == 200


@pytest.fixture(scope="session")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    """A local Batch service of this session's own, sixty times as fast as Azure's clocks."""
    data = tmp_path_factory.mktemp("batch")
    process = subprocess.Popen(
        [sys.executable, "-m", "localcloud", "batch", "--port", "0", "--data", str(data), "--speed", "60"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert "ready " in process.stdout.readline()
        watchdog.cancel()
        told = json.loads((data / "batch-endpoint.json").read_text("utf-8"))
        yield LocalBatch(endpoint=told["endpoint"], account=told["account"], key=told["key"])
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Waits until the condition holds; fails the test at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not come to pass in time")
        time.sleep(0.1)
