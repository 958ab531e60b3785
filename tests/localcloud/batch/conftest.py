"""The service as a process of its own, and the unmodified SDK against it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError

T = TypeVar("T")
ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class LocalBatch:
    """A running service."""

    process: subprocess.Popen[str]
    endpoint: str
    account: str
    key: str
    data: Path

    def client(self, key: str | None = None, account: str | None = None) -> BatchClient:
        credential = AzureNamedKeyCredential(account or self.account, key or self.key)
        return BatchClient(self.endpoint, credential)

    def kill(self) -> None:
        """kill -9"""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_service(data: Path, *options: str) -> LocalBatch:
    """Start `python -m localcloud.batch` and wait for its ready line."""
    command = [sys.executable, "-m", "localcloud.batch", "--data", str(data), "--boot", "0.02:0.05", *options]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "MUST_NOT_LEAK": "1"}
    )
    if process.stdout is None:
        raise RuntimeError("no standard output")
    line = process.stdout.readline()
    if not line.startswith("ready "):
        process.wait(timeout=10)
        process.stdout.close()
        raise RuntimeError(f"the service did not start: {line!r}")
    document = json.loads((data / "batch-endpoint.json").read_text())
    return LocalBatch(process, document["endpoint"], document["account"], document["key"], data)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    """One service for a module; tests keep apart by ids."""
    local = start_service(tmp_path_factory.mktemp("batch"), "--speed", "20", "--node-env", "IMAGE_VALUE=from-image")
    yield local
    local.stop()


@pytest.fixture(scope="module")
def client(service: LocalBatch) -> Iterator[BatchClient]:
    with service.client() as found:
        yield found


def wait_for(probe: Callable[[], T | None], *, seconds: float = 30.0, what: str = "the condition") -> T:
    """Poll until the probe gives something true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {seconds:g} s")
        time.sleep(0.02)


def machine() -> m.VirtualMachineConfiguration:
    return m.VirtualMachineConfiguration(
        image_reference=m.BatchVmImageReference(
            publisher="canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts", version="latest"
        ),
        node_agent_sku_id="batch.node.ubuntu 22.04",
    )


def make_pool(client: BatchClient, pool_id: str, **options: object) -> None:
    """A pool of one dedicated node unless told otherwise."""
    if not options.keys() & {"target_dedicated_nodes", "target_low_priority_nodes", "enable_auto_scale"}:
        options["target_dedicated_nodes"] = 1
    client.create_pool(
        m.BatchPoolCreateOptions(  # type: ignore[call-overload]
            id=pool_id, vm_size="standard_d2s_v3", virtual_machine_configuration=machine(), **options
        )
    )


def make_job(client: BatchClient, job_id: str, pool_id: str, **options: object) -> None:
    client.create_job(
        m.BatchJobCreateOptions(id=job_id, pool_info=m.BatchPoolInfo(pool_id=pool_id), **options)  # type: ignore[call-overload]
    )


def task(task_id: str, command_line: str, **options: object) -> m.BatchTaskCreateOptions:
    return m.BatchTaskCreateOptions(id=task_id, command_line=command_line, **options)  # type: ignore[call-overload,no-any-return]


def finished_task(client: BatchClient, job_id: str, task_id: str) -> m.BatchTask:
    """Wait until the task is completed."""

    def completed() -> m.BatchTask | None:
        found = client.get_task(job_id, task_id)
        return found if found.state == m.BatchTaskState.COMPLETED else None

    return wait_for(completed, what=f"the end of task {task_id}")


def file_text(client: BatchClient, job_id: str, task_id: str, path: str) -> str:
    return b"".join(client.download_task_file(job_id, task_id, path)).decode()


def nodes_in(client: BatchClient, pool_id: str, *states: str) -> Sequence[m.BatchNode]:
    return [node for node in client.list_nodes(pool_id) if node.state in states]


def code_of(error: HttpResponseError) -> str:
    """Batch's error code as the SDK shows it."""
    return str(getattr(error.model, "code", None))


def as_options(**properties: str) -> Any:
    """The body of an operation whose model the SDK does not export (and without one it fails before it sends)."""
    return properties
