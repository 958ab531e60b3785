"""All services of one local cloud: started in order, kept alive, stopped in the reverse order."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from localcloud.azurite.account import connection_string, endpoint
from localcloud.azurite.blobs import Blobs, StorageAwayError
from localcloud.azurite.server import azurite, find_azurite, find_node
from localcloud.child import ChildSpec
from localcloud.errors import ChildExitedError, ServiceFailedError, StartError
from localcloud.eventgrid.service import EventService
from localcloud.functions.keys import Keys, load_keys
from localcloud.functions.settings import local_settings
from localcloud.up.batchchild import BatchEndpoint, batch_child, read_batch_endpoint
from localcloud.up.console import Console
from localcloud.up.datadir import DataDir
from localcloud.up.deployment import Deployment, fill
from localcloud.up.hostchild import find_func, host_child
from localcloud.up.keeper import Keeper

_HANDSHAKE_SECONDS = 10.0
_HOST_GRACE_SECONDS = 8.0
_BATCH_GRACE_SECONDS = 8.0
_AZURITE_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """`root` is the application's folder. Ports of 0 are picked. `speed` shortens Azure's minutes."""

    root: Path
    data: Path
    blob_port: int
    functions_port: int
    batch_port: int
    host: str
    speed: float


class LocalCloud:
    """One local cloud in one data folder. `values` names all that it started, for templates and the table."""

    def __init__(self, options: UpOptions, deployment: Deployment, *, data: DataDir, console: Console) -> None:
        self._options = options
        self._deployment = deployment
        self._data = data
        self._console = console
        self._keepers: list[Keeper] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._events: EventService | None = None
        self._blobs: Blobs | None = None
        self.func = find_func(options.host)
        self.speed = options.speed
        self.values: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.keys: Keys = load_keys(data.keys)
        self.batch: BatchEndpoint | None = None
        self.on_restart: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Start everything; returns when all is ready. Raises StartError, with nothing left running."""
        try:
            await self._start()
        except ChildExitedError as error:
            raise StartError(str(error)) from error
        except StorageAwayError as error:
            raise StartError(f"storage does not answer as it should: {error}") from error

    async def _start(self) -> None:
        options, data = self._options, self._data
        node = find_node()
        main = find_azurite(options.root, Path(__file__).parents[2])
        blob_port = data.port("storage", options.blob_port, option="--blob-port")
        functions_port = data.port("functions", options.functions_port, option="--functions-port")
        self._console.say(f"starting the local cloud in {data.path}")
        self._name_places(blob_port, functions_port)
        storage = azurite(
            node=node,
            main=main,
            data=data.azurite,
            writes=data.writes,
            log=data.log("azurite"),
            port=blob_port,
        )
        services = [self._start_storage(storage), *([self._start_batch()] if self._deployment.batch else [])]
        for result in await asyncio.gather(*services, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        await self._start_events()
        await self._start_host(functions_port)
        if self._events is not None:
            self._watch(self._events.run(), name="events")
            silent = await self._events.not_validated(timeout_seconds=_HANDSHAKE_SECONDS)
            if silent:
                self._console.say(
                    f"no handshake yet with {', '.join(silent)}: its events wait; see {self._data.logs}/functions.log"
                )

    def _name_places(self, blob_port: int, functions_port: int) -> None:
        blob = endpoint(blob_port)
        self.values |= {
            "root": str(self._options.root),
            "data": str(self._data.path),
            "python": sys.executable,
            "bin": str(Path(sys.executable).parent),
            "path": os.environ.get("PATH", os.defpath),
            "blob": blob,
            "connection_string": connection_string(blob),
            "functions": f"http://127.0.0.1:{functions_port}",
            "functions_key": self.keys.default,
            "master_key": self.keys.master,
            "speed": f"{self._options.speed:g}",
        }

    async def _start_storage(self, spec: ChildSpec) -> None:
        self._blobs = blobs = Blobs(self.values["connection_string"])

        async def make_containers() -> None:
            for container in self._deployment.containers:
                await blobs.make_container(container)
            self._wake_events()

        # Again after a restart: an Azurite that was killed forgets what it did in its last seconds.
        await self._keep(spec, came_back=make_containers)
        await make_containers()

    async def _start_batch(self) -> None:
        port = self._data.port("batch", self._options.batch_port, option="--batch-port")
        spec = batch_child(
            data=self._data.batch,
            port=port,
            storage=self.values["blob"],
            log=self._data.log("batch"),
            node_environment=fill(self._deployment.node_env, self.values, where="node_env"),
            speed=self._options.speed,
        )
        await self._keep(spec, came_back=_nothing)
        self.batch = read_batch_endpoint(self._data.batch)
        self.values |= {
            "batch": self.batch.url,
            "batch_account": self.batch.account,
            "batch_key": self.batch.key,
        }

    async def _start_events(self) -> None:
        if self._blobs is None:
            raise StartError("storage did not start")
        self._events = EventService(
            subscriptions=self._deployment.subscriptions,
            key=self.keys.master,
            topic_keys={topic: _topic_key(self.keys, topic) for topic in self._deployment.topics},
            queue_path=self._data.queue,
            writes=self._data.writes,
            blobs=self._blobs,
            blob_endpoint=self.values["blob"],
            webhook=self._webhook,
            port=self._data.port("events", 0, option="--data"),
            log=self._data.log("events"),
            report=self._console.say,
            speed=self._options.speed,
        )
        left = await self._events.start()
        self.values["events"] = self._events.url
        if left:
            self._console.say(f"{left} event(s) of the last run are still to be delivered")
        for topic in self._deployment.topics:
            self.values[f"topic_{topic}"] = f"{self._events.url}/topics/{topic}/api/events"
            self.values[f"topic_key_{topic}"] = _topic_key(self.keys, topic)
        if len(self._deployment.topics) == 1:
            self.values["topic_key"] = _topic_key(self.keys, self._deployment.topics[0])

    def _webhook(self, function: str) -> str:
        return (
            f"{self.values['functions']}/runtime/webhooks/EventGrid"
            f"?functionName={quote(function)}&code={quote(self.keys.event_grid)}"
        )

    async def _start_host(self, port: int) -> None:
        declared = fill(self._deployment.settings, self.values, where="settings")
        # What the app will see: the environment wins over the deployment, and that over local.settings.json.
        settings = {**local_settings(self._options.root), **declared}
        self.settings = {name: os.environ.get(name, value) for name, value in settings.items()}
        spec = host_child(
            func=self.func,
            app_root=self._options.root,
            port=port,
            keys=self._data.keys,
            log=self._data.log("functions"),
            settings=declared,
            speed=self._options.speed,
        )

        async def came_back() -> None:
            self._wake_events()

        await self._keep(spec, came_back=came_back)

    async def _keep(self, spec: ChildSpec, *, came_back: Callable[[], Awaitable[None]]) -> None:
        keeper = Keeper(spec, console=self._console, came_back=came_back, started=self._remember)
        await keeper.start()
        self._keepers.append(keeper)
        self._remember()
        self._watch(keeper.keep(), name=spec.name)

    def _watch(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _wake_events(self) -> None:
        if self._events is not None:
            self._events.hasten()

    def _remember(self) -> None:
        self._data.remember_processes(self.pids())
        self.on_restart()

    def pids(self) -> dict[str, int]:
        """The process of each child."""
        return {keeper.spec.name: keeper.pid for keeper in self._keepers}

    async def run(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set. Raises ServiceFailedError when what runs in this process fails instead."""
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for task in done - {stopped}:
            if (error := task.exception()) is not None:
                raise ServiceFailedError(f"{task.get_name()} failed: {_innermost(error)!r}") from error

    async def stop(self) -> None:
        """Host first (no new work), then Batch, then the events, storage last so that it saves what it has."""
        await self._stop("functions", _HOST_GRACE_SECONDS)
        await self._stop("batch", _BATCH_GRACE_SECONDS)
        for task in self._tasks:
            if task.get_name() == "events":
                task.cancel()
        if self._events is not None:
            await self._events.close()
        if self._blobs is not None:
            await self._blobs.close()
        await self._stop("azurite", _AZURITE_GRACE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._data.remember_processes({})
        self._data.remove_endpoints()

    async def _stop(self, name: str, grace_seconds: float) -> None:
        for keeper in self._keepers:
            if keeper.spec.name == name:
                await keeper.stop(grace_seconds=grace_seconds)


async def _nothing() -> None:
    return None


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _topic_key(keys: Keys, topic: str) -> str:
    """A topic's key follows from the master key, so it outlives a restart without a place of its own."""
    return hashlib.sha256(f"{keys.master}/topics/{topic}".encode()).hexdigest()
