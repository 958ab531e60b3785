"""The host: one app, one process, one loop, one port."""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from localcloud.azurite.blobs import Blobs
from localcloud.clock import Clock
from localcloud.functions.admin import Admin
from localcloud.functions.eventgridtrigger import PATH as EVENT_GRID_PATH
from localcloud.functions.eventgridtrigger import EventGridTriggers
from localcloud.functions.hostjson import HostConfig
from localcloud.functions.httptrigger import HttpTriggers
from localcloud.functions.index import AppFunction, IndexingError, TimerTrigger, load_app
from localcloud.functions.invocation import Invoker
from localcloud.functions.keys import Keys
from localcloud.functions.ncrontab import ScheduleError, parse_schedule
from localcloud.functions.settings import SettingError, resolve
from localcloud.functions.timer import ScheduleMonitor, TimerListener
from localcloud.functions.timerstatus import BlobScheduleMonitor

_log = logging.getLogger(__name__)

_LARGEST_BODY_BYTES = 100 * 1024 * 1024
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What a host needs beside its app's settings, which it takes from the environment."""

    app_root: Path
    config: HostConfig
    keys: Keys
    clock: Clock


class Host:
    """Loads the app and serves it. An app that cannot be indexed leaves a host that refuses with 503."""

    def __init__(self, options: HostOptions) -> None:
        self._options = options
        self._invoker = Invoker(app_root=options.app_root, timeout=options.config.function_timeout)
        self._timers: list[asyncio.Task[None]] = []
        self._blobs: Blobs | None = None
        self.functions: Sequence[AppFunction] = ()
        self.error: str | None = None

    def load(self) -> None:
        """Import and index the app, in the running loop as Microsoft's worker does."""
        try:
            self.functions = load_app(self._options.app_root)
        except IndexingError as error:
            self.error = str(error)
            _log.exception("the app cannot be indexed, so none of its functions is served")

    def application(self) -> web.Application:
        """All addresses of the host."""
        options = self._options
        http = HttpTriggers(
            self.functions, prefix=options.config.route_prefix, keys=options.keys, invoker=self._invoker
        )
        events = EventGridTriggers(self.functions, keys=options.keys, invoker=self._invoker)
        admin = Admin(
            self.functions,
            keys=options.keys,
            invoker=self._invoker,
            errors=[self.error] if self.error else [],
            prefix=options.config.route_prefix,
        )

        async def handle(request: web.Request) -> web.StreamResponse:
            path = request.path.casefold().rstrip("/")
            if path == "":
                return web.Response(text="Your function app is up and running (localcloud).\n")
            if path.startswith("/admin/"):
                return await admin.handle(request)
            if self.error:
                return web.Response(status=503, text="Function host is not running.")
            if path == EVENT_GRID_PATH:
                return await events.handle(request)
            return await http.handle(request)

        application = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", handle)
        return application

    def start_timers(self, environment: Mapping[str, str]) -> None:
        """Start a listener for each timer. One whose schedule is wrong is named in the log and stays still."""
        timers = [function for function in self.functions if isinstance(function.trigger, TimerTrigger)]
        monitor = self._monitor(environment) if timers else None
        for function in timers:
            listener = self._listener(function, environment, monitor)
            if listener is not None:
                self._timers.append(asyncio.create_task(listener.run(), name=f"timer {function.name}"))

    def _listener(
        self, function: AppFunction, environment: Mapping[str, str], monitor: ScheduleMonitor | None
    ) -> TimerListener | None:
        trigger = function.trigger
        if not isinstance(trigger, TimerTrigger):
            return None
        if environment.get(f"AzureWebJobs.{function.name}.Disabled", "").casefold() in ("true", "1"):
            _log.info("timer %s is disabled by its app setting", function.name)
            return None
        try:
            schedule = parse_schedule(resolve(trigger.schedule, environment))
        except (ScheduleError, SettingError) as error:
            _log.error("timer %s cannot be scheduled: %s", function.name, error)
            return None
        return TimerListener(function, schedule, clock=self._options.clock, invoker=self._invoker, monitor=monitor)

    def _monitor(self, environment: Mapping[str, str]) -> ScheduleMonitor | None:
        connection_string = environment.get("AzureWebJobsStorage")
        if not connection_string:
            _log.warning("AzureWebJobsStorage is not set: timers forget when they ran")
            return None
        self._blobs = Blobs(connection_string)
        return BlobScheduleMonitor(self._blobs, host_id="localcloud")

    async def stop(self) -> None:
        """No more timers; let what runs end within seconds."""
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
        await self._invoker.close(grace_seconds=_STOP_SECONDS)
        if self._blobs is not None:
            await self._blobs.close()


async def serve(options: HostOptions, *, port: int, stop: asyncio.Event) -> None:
    """Run a host on 127.0.0.1:`port` (0: any) until `stop`; says `ready URL` on stdout. Raises OSError."""
    host = Host(options)
    host.load()
    runner = web.AppRunner(host.application(), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        host.start_timers(os.environ)
        names = ", ".join(function.name for function in host.functions) or host.error
        _log.info("functions: %s", names)
        print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - the parent waits for it
        await stop.wait()
    finally:
        _log.info("stopping")
        await site.stop()
        await host.stop()
        await runner.cleanup()
