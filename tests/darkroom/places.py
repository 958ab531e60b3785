"""What the command line's tests work with: storage of their own, a local Batch service, the command line, patience."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

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


@contextmanager
def started(command: list[str], *, ready: str, cwd: Path = ROOT) -> Iterator[str]:
    """A server of its own, ended at the end. Gives the line in which it said that it is ready."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if ready in line:
                break
        else:
            pytest.fail(f"{' '.join(command)} did not start: {said}")
        watchdog.cancel()
        yield line
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def running_azurite(folder: Path) -> Iterator[str]:
    """The endpoint of an Azurite of its own, in memory, on a free port."""
    options = ("--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence")
    quiet = ("--disableTelemetry", "--skipApiVersionCheck", "--silent")
    listens = "successfully listens on "
    with started(["node", str(AZURITE), *options, *quiet], ready=listens, cwd=folder) as line:
        yield f"{line.split(listens, 1)[1].strip()}/devstoreaccount1"


@contextmanager
def running_batch(data: Path, *, speed: float) -> Iterator[LocalBatch]:
    """A local Batch service of its own, with its files in `data`."""
    options = ("--port", "0", "--data", str(data), "--speed", f"{speed:g}")
    with started([sys.executable, "-m", "localcloud", "batch", *options], ready="ready "):
        told = json.loads((data / "batch-endpoint.json").read_text("utf-8"))
        yield LocalBatch(endpoint=told["endpoint"], account=told["account"], key=told["key"])


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Waits until the condition holds; fails the test at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not come to pass in time")
        time.sleep(0.1)
