"""The system under test: real Azurite, Batch service, function host and workers, with faulty networks in between.

host, workers ──► proxy ──► Azurite          host ──► proxy ──► Batch service ──► workers
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import BlobServiceClient

from tests.chaos.processes import Program, Service
from tests.chaos.proxy import Dialect, FaultProxy
from tests.chaos.uploads import insist
from tests.chaos.weather import Weather

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINERS = ("images", "converted", "manifests", "outcomes", "quarantine", "scripts")
BATCH_ACCOUNT = "localbatch"
BATCH_KEY = "bG9jYWwgYmF0Y2gga2V5IGZvciBjaGFvcyByb3VuZHM="

SETTINGS = {
    "BATCH_POOL_ID": "darkroom",
    "BATCH_POOL_CREATE": "true",
    "POOL_MAX_NODES": "2",
    "WORKER_PROCESSES": "1",
    "MANIFEST_MAX_IMAGES": "10",
    "MANIFEST_MAX_AGE": "1",
    # A worker that is killed again and again is the round's doing, not the image's: nothing good may end in quarantine.
    "MAX_ATTEMPTS": "100",
    "TASK_RETRIES": "1",
    "DISPATCH_SCHEDULE": "*/2 * * * * *",
    "COLLECT_SCHEDULE": "1-59/2 * * * * *",
    "SWEEP_SCHEDULE": "*/15 * * * * *",
    "SWEEP_MIN_AGE": "5",
    "SWEEP_DELETE_ORPHANS": "true",
}
"""Clocks in seconds instead of minutes; all else as on Azure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What opens the function host."""

    event_grid: str
    master: str


class Cloud:
    """All services of one round, in one folder. Made by `open_cloud`."""

    def __init__(
        self,
        folder: Path,
        *,
        storage_weather: Weather,
        batch_weather: Weather,
        speed: float,
        settings: Mapping[str, str],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.storage_weather = storage_weather
        self.batch_weather = batch_weather
        self._ports = {name: _free_port() for name in ("azurite", "batch", "host")}
        self.storage_proxy = FaultProxy(
            upstream_port=self._ports["azurite"], weather=storage_weather, dialect=Dialect.STORAGE
        )
        self.batch_proxy = FaultProxy(upstream_port=self._ports["batch"], weather=batch_weather, dialect=Dialect.BATCH)
        self._speed = speed
        self._settings = SETTINGS | dict(settings)
        self.azurite = Service(self._azurite())
        self.batch = Service(self._batch())
        self.host: Service

    @property
    def services(self) -> list[Service]:
        """In the order in which they start."""
        return [self.azurite, self.batch, self.host]

    @property
    def endpoint(self) -> str:
        """The blob endpoint as the app knows it: through the proxy."""
        return f"http://127.0.0.1:{self.storage_proxy.port}/{ACCOUNT}"

    @property
    def host_url(self) -> str:
        """The function host."""
        return f"http://127.0.0.1:{self._ports['host']}"

    @property
    def batch_url(self) -> str:
        """The Batch service itself, past the proxy."""
        return f"http://127.0.0.1:{self._ports['batch']}"

    def storage(self) -> BlobServiceClient:
        """A client that reaches storage past the proxy."""
        endpoint = f"http://127.0.0.1:{self._ports['azurite']}/{ACCOUNT}"
        return BlobServiceClient(endpoint, credential={"account_name": ACCOUNT, "account_key": KEY})

    def keys(self) -> Keys:
        """As the host wrote them at its first start."""
        found = json.loads((self.folder / "keys.json").read_text(encoding="utf-8"))
        return Keys(event_grid=found["event_grid"], master=found["master"])

    async def preempt(self, count: int) -> bool:
        """Takes the VMs of `count` Spot nodes away (docs/local-batch.md). Whether there was one to take."""
        auth = aiohttp.BasicAuth(BATCH_ACCOUNT, BATCH_KEY)
        order = {"poolId": SETTINGS["BATCH_POOL_ID"], "count": count}
        try:
            async with (
                aiohttp.ClientSession(auth=auth) as http,
                http.post(f"{self.batch_url}/_local/preempt", json=order) as answer,
            ):
                return answer.status == 200 and bool((await answer.json())["nodes"])
        except aiohttp.ClientError:
            return False  # the service is down at this moment

    async def delete_job(self) -> bool:
        """Deletes a job that is at work, tasks and all. Whether there was one."""
        credential = AzureNamedKeyCredential(BATCH_ACCOUNT, BATCH_KEY)
        async with BatchClient(self.batch_url, credential, retry_total=0) as client:
            try:
                async for job in client.list_jobs(filter="state eq 'active'"):
                    await client.begin_delete_job(job.id)
                    return True
            except AzureError:
                return False  # the service is down at this moment
        return False

    async def sweep(self) -> Mapping[str, int]:
        """A sweep on demand, as an operator starts it; what it counted. Raises ClientError when the host refuses."""
        url = f"{self.host_url}/api/sweep?min_age=0"
        headers = {"x-functions-key": self.keys().master}
        async with aiohttp.ClientSession(headers=headers) as http, http.post(url) as answer:
            answer.raise_for_status()
            counts: dict[str, int] = (await answer.json())["counts"]
            return counts

    def build_host(self) -> None:
        """The host's program, once the proxies have their ports."""
        self.host = Service(self._host())

    def _program(self, name: str, command: list[str], ready: str, environment: dict[str, str]) -> Program:
        return Program(
            name=name,
            command=command,
            environment=_environment() | environment,
            folder=ROOT,
            log=self.folder / f"{name}.log",
            ready=ready,
        )

    def _azurite(self) -> Program:
        node = shutil.which("node") or "node"
        main = ROOT / "node_modules/azurite/dist/src/blob/main.js"
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(self._ports["azurite"])]
        data = ["--location", str(self.folder / "azurite")]
        quiet = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        return self._program(
            "azurite", [node, "--no-warnings", str(main), *where, *data, *quiet], r"(successfully listens)", {}
        )

    def _batch(self) -> Program:
        command = [sys.executable, "-m", "localcloud", "batch", "--port", str(self._ports["batch"])]
        command += ["--data", str(self.folder / "batch"), "--account", BATCH_ACCOUNT, "--key", BATCH_KEY]
        command += ["--speed", f"{self._speed:g}", "--restore", "20:60", "--node-env", f"PYTHONPATH={ROOT}"]
        return self._program("batch", command, r"(?:^|\n)ready (http://\S+)", {})

    def _host(self) -> Program:
        command = [sys.executable, "-m", "localcloud.functions", "--app-root", str(ROOT)]
        command += ["--port", str(self._ports["host"]), "--keys", str(self.folder / "keys.json")]
        direct = f"http://127.0.0.1:{self._ports['azurite']}/{ACCOUNT}"
        settings = self._settings | {
            "STORAGE_CONNECTION_STRING": connection_string(self.endpoint),
            "AzureWebJobsStorage": connection_string(direct),
            "BATCH_ENDPOINT": f"http://127.0.0.1:{self.batch_proxy.port}",
            "BATCH_ACCOUNT": BATCH_ACCOUNT,
            "BATCH_KEY": BATCH_KEY,
            "WORKER_COMMAND": f"{sys.executable} -m worker",
        }
        return self._program("host", command, r"(?:^|\n)ready (http://\S+)", settings)


@asynccontextmanager
async def open_cloud(
    folder: Path, *, storage_weather: Weather, batch_weather: Weather, speed: float, settings: Mapping[str, str]
) -> AsyncIterator[Cloud]:
    """Everything started, containers made; everything stopped at the end, each with SIGTERM."""
    cloud = Cloud(folder, storage_weather=storage_weather, batch_weather=batch_weather, speed=speed, settings=settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(cloud.storage_proxy)
        await stack.enter_async_context(cloud.batch_proxy)
        cloud.build_host()
        for service in cloud.services:
            stack.push_async_callback(service.stop)
        await cloud.azurite.start()
        await cloud.batch.start()
        async with cloud.storage() as storage:
            for name in CONTAINERS:
                with contextlib.suppress(ResourceExistsError):
                    await insist(lambda name=name: storage.create_container(name))  # type: ignore[misc]
        await cloud.host.start()
        yield cloud


def connection_string(endpoint: str) -> str:
    """For Azurite's well-known account."""
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"


def _environment() -> dict[str, str]:
    """Ours without what could reach into a round, and with the repository on the path of tasks."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("AZURE", "AZURITE", "DARKROOM"))}
    return ours | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
