"""The function app: triggers and wiring, nothing else. The stages are in `pipeline/`.

The application is opened lazily, on the loop that runs the functions, once a process. Settings are read at import: a
wrong one is logged with its key, and every function answers with the same words until it is mended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import Any

import azure.functions as func

from pipeline.app import App
from pipeline.clients import open_app
from pipeline.dashboard.routes import add_dashboard
from shared.app_settings import PipelineSettings, read_app_settings
from shared.errors import DarkroomError, SettingsError
from shared.settings import describe

_log = logging.getLogger("darkroom.app")
_opened: asyncio.Future[App] | None = None
_keeper: asyncio.Task[None] | None = None

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

try:
    read_app_settings(os.environ)
except SettingsError as _error:
    _log.critical("event=settings_wrong error=%r", str(_error))


async def the_app() -> App:
    """This process's application. Raises SettingsError, naming the keys, while settings are wrong."""
    global _opened, _keeper  # noqa: PLW0603 (one a process is the point)
    if _opened is None or (_opened.done() and (_opened.cancelled() or _opened.exception())):
        _opened = asyncio.get_running_loop().create_future()
        _keeper = asyncio.create_task(_keep(_opened), name="darkroom")
    return await asyncio.shield(_opened)


async def _keep(opened: asyncio.Future[App]) -> None:
    """Holds the application open until the loop ends, so that its connections are closed properly."""
    try:
        async with open_app(os.environ) as darkroom:
            opened.set_result(darkroom)
            await asyncio.Event().wait()
    except Exception as error:  # noqa: BLE001 (whatever it is, those who ask for the application are told)
        if not opened.done():
            opened.set_exception(error)


def schedule(name: str) -> str:
    """A timer's schedule: `%NAME%`, which the host reads, where it is set; else the setting's default."""
    defaults = {row.name: row.default for row in describe(PipelineSettings, {})}
    return f"%{name}%" if os.environ.get(name, "").strip() else defaults[name]


@app.function_name("ingest")
@app.event_grid_trigger(arg_name="event")
async def ingest(event: func.EventGridEvent) -> None:
    """A blob was created: returns when its arrival is durable; raises when Event Grid must bring it again."""
    darkroom = await the_app()
    await darkroom.arrived(
        {
            "id": event.id,
            "eventType": event.event_type,
            "subject": event.subject,
            "eventTime": event.event_time.isoformat() if event.event_time else "",
            "data": event.get_json(),
        }
    )


@app.function_name("dispatch")
@app.timer_trigger(arg_name="timer", schedule=schedule("DISPATCH_SCHEDULE"))
async def dispatch(timer: func.TimerRequest) -> None:
    """What has arrived becomes manifests and tasks."""
    del timer
    await (await the_app()).dispatch()


@app.function_name("collect")
@app.timer_trigger(arg_name="timer", schedule=schedule("COLLECT_SCHEDULE"))
async def collect(timer: func.TimerRequest) -> None:
    """Tasks that have ended close their manifests."""
    del timer
    await (await the_app()).collect()


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule=schedule("SWEEP_SCHEDULE"))
async def sweep(timer: func.TimerRequest) -> None:
    """What events missed is found; once a day what is old is pruned."""
    del timer
    darkroom = await the_app()
    await darkroom.sweep()
    await darkroom.prune()


@app.function_name("status")
@app.route(route="status", methods=["GET"])
async def status(req: func.HttpRequest) -> func.HttpResponse:
    """The whole at a glance, as JSON."""
    del req
    try:
        return _answer((await (await the_app()).status()).as_json())
    except DarkroomError as error:
        return _refusal(error)


@app.function_name("sweep_now")
@app.route(route="sweep", methods=["POST"])
async def sweep_now(req: func.HttpRequest) -> func.HttpResponse:
    """A sweep on demand: `prefix`, `dry_run`, `min_age` (seconds), `via` in the query."""
    try:
        min_age = req.params.get("min_age", "")
        report = await (await the_app()).sweep(
            prefix=req.params.get("prefix", ""),
            dry_run=req.params.get("dry_run", "").lower() in ("1", "true", "yes"),
            min_age=float(min_age) if min_age else None,
            seconds=HTTP_SECONDS,
            via="run" if req.params.get("via") == "run" else "sweep",
        )
        return _answer(report.as_json())
    except ValueError:
        return _answer({"error": "min_age must be a number of seconds"}, status=400)
    except DarkroomError as error:
        return _refusal(error)


@app.function_name("dispatch_now")
@app.route(route="dispatch", methods=["POST"])
async def dispatch_now(req: func.HttpRequest) -> func.HttpResponse:
    """Dispatch on demand; `everything=true` also takes inboxes that could wait for more arrivals."""
    try:
        everything = req.params.get("everything", "").lower() in ("1", "true", "yes")
        return _answer(dict(await (await the_app()).dispatch(everything=everything)))
    except DarkroomError as error:
        return _refusal(error)


@app.function_name("collect_now")
@app.route(route="collect", methods=["POST"])
async def collect_now(req: func.HttpRequest) -> func.HttpResponse:
    """Collect on demand."""
    del req
    try:
        return _answer(dict(await (await the_app()).collect()))
    except DarkroomError as error:
        return _refusal(error)


add_dashboard(app, the_app)

HTTP_SECONDS = 200.0
"""Azure's front end gives an HTTP function 230 s: https://learn.microsoft.com/azure/azure-functions/functions-scale."""


def _answer(body: dict[str, Any], *, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")


def _refusal(error: DarkroomError) -> func.HttpResponse:
    """What went wrong, in words that name the setting, the role or the service; 500 where only a person can mend it."""
    _log.error("event=request_failed error=%r", str(error))
    status = 500 if isinstance(error, SettingsError) else 503
    return _answer({"error": type(error).__name__, "message": str(error)}, status=status)
