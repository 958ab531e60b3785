"""Microsoft's own Python runtime library loads the app and runs it: what the local host cannot judge of itself."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from shared.arrival import from_lines

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-runtime/bin/python"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Runtime:
    """A process of the library with the app loaded."""

    def __init__(self, settings: dict[str, str]) -> None:
        assert PYTHON.exists(), "`make test` makes .venv-runtime first; `make .setup/runtime` alone does it too"
        self.process = subprocess.Popen(
            [str(PYTHON), str(ROOT / "tests/runtime/index_and_invoke.py"), str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], **settings},
        )
        self.loaded = self._answer()

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"function": function, "event": event}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> int:
        self.process.communicate(timeout=30)
        return self.process.returncode

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture
def manifests(azurite_port: int) -> Iterator[ContainerClient]:
    endpoint = f"http://127.0.0.1:{azurite_port}/devstoreaccount1"
    credential = {"account_name": "devstoreaccount1", "account_key": KEY}
    with ContainerClient(endpoint, f"runtime-{uuid.uuid4()}", credential=credential) as client:
        client.create_container()
        yield client
        client.delete_container()


def settings(container: ContainerClient) -> dict[str, str]:
    endpoint = container.url.rsplit("/", 1)[0]
    return {
        "STORAGE_CONNECTION_STRING": (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={endpoint};"
        ),
        "MANIFESTS_CONTAINER": str(container.container_name),
        "BATCH_ENDPOINT": "http://127.0.0.1:9",
        "BATCH_ACCOUNT": "local",
        "BATCH_KEY": "a2V5",
        "DISPATCH_SCHEDULE": "0 * * * * *",
    }


def blob_created(endpoint: str, name: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "topic": "/subscriptions/x",
        "subject": f"/blobServices/default/containers/images/blobs/{name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-01-02T03:04:05.1234567Z",
        "data": {
            "api": "PutBlob",
            "eTag": "0x8D4BCC2E4835CD0",
            "contentLength": 524288,
            "url": f"{endpoint}/images/{name}",
            "sequencer": "00000000000004420000000000028963",
        },
        "dataVersion": "",
        "metadataVersion": "1",
    }


@pytest.mark.azurite
def test_microsofts_runtime_indexes_the_app_and_ingest_makes_an_arrival_durable(manifests: ContainerClient) -> None:
    environment = settings(manifests)
    runtime = Runtime(environment)
    assert runtime.loaded["failure"] == ""
    functions = {name: {b["type"] for b in bindings} for name, bindings in runtime.loaded["functions"].items()}
    assert {"ingest", "dispatch", "collect", "sweep", "status", "sweep_now"} <= set(functions)
    assert functions["ingest"] == {"eventGridTrigger"}
    (timer,) = runtime.loaded["functions"]["dispatch"]
    assert timer["schedule"] == "%DISPATCH_SCHEDULE%"
    event = blob_created(manifests.url.rsplit("/", 1)[0], "holiday/é b.jpg")
    answer = runtime.invoke("ingest", event)
    assert answer == {"status": "Success", "failure": ""}
    (inbox,) = manifests.list_blob_names(name_starts_with="inbox/")
    (arrival,) = from_lines(manifests.download_blob(inbox).readall(), where=inbox)
    assert (arrival.name, arrival.etag, arrival.size) == ("holiday/é b.jpg", "0x8D4BCC2E4835CD0", 524288)
    assert runtime.close() == 0


@pytest.mark.azurite
def test_with_a_wrong_setting_the_app_indexes_and_each_call_names_the_key(manifests: ContainerClient) -> None:
    runtime = Runtime({**settings(manifests), "MAX_ATTEMPTS": "many"})
    assert "ingest" in runtime.loaded["functions"]
    answer = runtime.invoke("ingest", blob_created("http://127.0.0.1:1/devstoreaccount1", "a.jpg"))
    assert answer["status"] == "Failure"
    assert "MAX_ATTEMPTS" in answer["failure"]
    assert runtime.close() == 0
