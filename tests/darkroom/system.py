"""A whole system without its host: storage, a Batch account, the app's own stages, and `darkroom why` over it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, TypeVar

from azure.batch import BatchClient
from azure.batch import models as m
from typer.core import TyperGroup
from typer.main import get_command

from darkroom.commands import TABLE
from darkroom.failure import ExitCode
from pipeline.app import App
from pipeline.clients import open_app
from tests.darkroom.places import ROOT, Cli, LocalBatch, Place, until
from tests.worker.jpegs import jpeg

T = TypeVar("T")
WORKER = f"/usr/bin/env PYTHONPATH={ROOT} {sys.executable} -m worker"
"""The real worker, on a node that has nothing but this checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Storage, a Batch account, a pool id of the test's own, and the command line over them."""

    place: Place
    batch: LocalBatch
    client: BatchClient
    pool: str
    cli: Cli
    seen: set[str] = field(default_factory=set)
    """The codes that `darkroom why` has told of in this test."""

    @property
    def jobs(self) -> list[str]:
        """The pool's jobs: today's, and another where midnight came in between."""
        return [str(job.id) for job in self.client.list_jobs() if str(job.id).startswith(f"{self.pool}-")]

    @property
    def job(self) -> str:
        """The job of the work that was given."""
        return self.jobs[0]

    def environ(self) -> dict[str, str]:
        """The settings of the app, and of who asks about it."""
        return (
            self.place.environ
            | self.batch.environ
            | {"BATCH_POOL_ID": self.pool, "POOL_EVALUATION_INTERVAL": "1440", "TASK_RETRIES": "0"}
            | {"MANIFEST_MAX_AGE": "0", "MANIFEST_MAX_IMAGES": "1", "SWEEP_MIN_AGE": "0", "BATCH_DEADLINE": "5"}
        )

    # --- what is asked ---

    def why(self, *options: str, **environ: str) -> dict[str, dict[str, Any]]:
        """The findings of `darkroom why` by code."""
        ran = self.cli("why", "--json", *options, environ=self.environ() | environ)
        return findings(ran.code, ran.out, ran.err, self.seen)

    def story(self, image: str, *options: str) -> dict[str, Any]:
        """What `darkroom why IMAGE` says."""
        ran = self.cli("why", image, "--json", *options, environ=self.environ())
        assert ran.code in (ExitCode.OK, ExitCode.NOT_OK, ExitCode.NOT_FOUND), ran.err
        told: dict[str, Any] = json.loads(ran.out)
        assert (ran.code == ExitCode.OK) == (told["verdict"] == "done")
        assert (ran.code == ExitCode.NOT_FOUND) == (told["verdict"] == "gone")
        check_advice(told["advice"])
        return told

    # --- what the app does ---

    def app(self, work: Callable[[App], Awaitable[T]], **environ: str) -> T:
        """Opens the app with its own settings, and has it do something."""

        async def opened() -> T:
            async with open_app(self.environ() | environ) as app:
                return await work(app)

        return asyncio.run(opened())

    def run_timers(self) -> None:
        """Dispatch and collect, one after the other, as their timers do every minute."""

        async def run(app: App) -> None:
            await app.dispatch()
            await app.collect()

        self.app(run)

    def dispatch(self, **environ: str) -> None:
        """One real run of dispatch."""
        self.app(lambda app: app.dispatch(everything=True), **environ)

    def collect(self, **environ: str) -> None:
        """One real run of collect."""
        self.app(lambda app: app.collect(), **environ)

    def sweep(self, **environ: str) -> None:
        """One real, whole sweep."""
        self.app(lambda app: app.sweep(), **environ)

    def arrive(self, name: str, data: bytes | None = None) -> None:
        """Drops an image and brings its event to the app."""
        data = jpeg() if data is None else data
        self.announce(name, self.place.put("images", name, data), len(data))

    def announce(self, name: str, etag: str, size: int) -> None:
        """Brings the event of an image to the app, as its Event Grid function would."""
        event = self._created(name, etag, size)
        self.app(lambda app: app.arrived(event))

    def _created(self, name: str, etag: str, size: int) -> Mapping[str, Any]:
        container = self.place.environ["IMAGES_CONTAINER"]
        return {
            "id": str(uuid.uuid4()),
            "eventType": "Microsoft.Storage.BlobCreated",
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "eventTime": datetime.now(UTC).isoformat(),
            "data": {
                "api": "PutBlob",
                "eTag": etag,
                "contentLength": size,
                "url": f"{self.place.service.url.rstrip('/')}/{container}/{name}",
                "sequencer": f"{datetime.now(UTC).timestamp():020.6f}",
            },
        }

    def give_work(self, *commands: str) -> list[str]:
        """For each command an image that arrives, and its manifest's task with that command; the manifests' ids."""
        for number, command in enumerate(commands):
            before = set(self.place.names("manifests"))
            self.arrive(f"work/{number}.jpg")
            self.dispatch(WORKER_COMMAND=command)
            assert set(self.place.names("manifests")) - before
        return [manifest_id(name) for name in self.place.names("manifests") if name.startswith("sealed/")]

    # --- the pool ---

    def make_pool(self, *, nodes: int = 0, formula: str = "", start_task: str = "") -> None:
        """A pool of a fixed size, or with a formula."""
        image = m.BatchVmImageReference(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2204", version="latest")
        sizes: dict[str, Any] = {"target_low_priority_nodes": nodes}
        if formula:
            interval = timedelta(minutes=1440)
            sizes = {"enable_auto_scale": True, "auto_scale_formula": formula}
            sizes |= {"auto_scale_evaluation_interval": interval}
        self.client.create_pool(
            m.BatchPoolCreateOptions(
                id=self.pool,
                vm_size="standard_d2ads_v5",
                virtual_machine_configuration=m.VirtualMachineConfiguration(
                    image_reference=image, node_agent_sku_id="batch.node.ubuntu 22.04"
                ),
                start_task=m.BatchStartTask(command_line=start_task, wait_for_success=True) if start_task else None,
                **sizes,
            )
        )

    def nodes_in(self, *states: str) -> int:
        """How many nodes are in one of these states."""
        return sum(1 for node in self.client.list_nodes(self.pool) if str(node.state).lower().endswith(states))

    def until_tasks(self, **counts: int) -> None:
        """Waits until so many tasks are in a state: `running=1`, `failed=1`, `succeeded=1`."""

        def counted() -> bool:
            found = [self.client.get_job_task_counts(job).task_counts for job in self.jobs]
            return all(sum(getattr(one, name) for one in found) == count for name, count in counts.items())

        until(counted)


def manifest_id(blob: str) -> str:
    """The manifest that a blob of `sealed/` holds."""
    return blob.removeprefix("sealed/").removesuffix(".json")


def findings(code: int, out: str, err: str, seen: set[str]) -> dict[str, dict[str, Any]]:
    """The findings of one run of `darkroom why --json` by code; each with advice that can be followed."""
    assert code in (ExitCode.OK, ExitCode.NOT_OK), err
    told = json.loads(out)
    assert (code == ExitCode.NOT_OK) == told["blocked"]
    for finding in told["findings"]:
        check_advice(finding["advice"])
        assert finding["advice"] or finding["weight"] != "blocked", finding
    found = {finding["code"]: finding for finding in reversed(told["findings"])}  # the weightiest of each code
    seen.update(found)
    return found


def check_advice(advice: str) -> None:
    """Every `darkroom COMMAND` that an advice names exists, and of groups the command in it too."""
    for name, below in re.findall(r"\bdarkroom ([a-z-]+)(?: ([a-z-]+))?", advice):
        assert name in TABLE, advice
        command = get_command(import_module(TABLE[name].module).app)
        assert not isinstance(command, TyperGroup) or below in command.commands, advice
