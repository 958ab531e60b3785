"""The dashboard's routes. What shows or does anything needs the key; the page itself and its files are empty of data.

`/api/dashboard` opens with `?code=KEY`; the page keeps the key in its tab, takes it out of the address, and sends it as
a header from then on. `/api/dashboard/page` is where it stays, so that a reload works without a key in the address.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import azure.functions as func

from pipeline.app import App
from pipeline.dashboard import assets
from pipeline.dashboard.dashboard import Dashboard
from pipeline.dashboard.reply import Reply, error_reply
from shared.errors import DarkroomError

Opened = Callable[[], Awaitable[App]]
_log = logging.getLogger("darkroom.dashboard")


def add_dashboard(app: func.FunctionApp, the_app: Opened) -> None:
    """Registers the routes. `the_app` opens this process's application."""
    _add_shell(app)
    opened: list[Dashboard] = []

    async def dashboard() -> Dashboard:
        darkroom = await the_app()
        if not opened or opened[0].app is not darkroom:
            opened[:] = [Dashboard(app=darkroom)]
        return opened[0]

    async def answer(work: Callable[[Dashboard], Awaitable[Reply]]) -> func.HttpResponse:
        try:
            return _response(await work(await dashboard()))
        except DarkroomError as error:
            _log.error("event=dashboard_failed error=%r", str(error))
            return _response(error_reply(503, str(error)))

    @app.function_name("dashboard_data")
    @app.route(route="dashboard/data", methods=["GET"])
    async def data(req: func.HttpRequest) -> func.HttpResponse:
        del req
        return await answer(lambda board: board.data())

    @app.function_name("dashboard_series")
    @app.route(route="dashboard/series", methods=["GET"])
    async def series(req: func.HttpRequest) -> func.HttpResponse:
        return await answer(lambda board: board.series(req.params.get("minutes", "60")))

    @app.function_name("dashboard_quarantine")
    @app.route(route="dashboard/quarantine", methods=["GET"])
    async def quarantine(req: func.HttpRequest) -> func.HttpResponse:
        return await answer(lambda board: board.quarantine(req.params.get("after", "")))

    @app.function_name("dashboard_png")
    @app.route(route="dashboard/png", methods=["GET"])
    async def png(req: func.HttpRequest) -> func.HttpResponse:
        return await answer(lambda board: board.png(req.params.get("name", "")))

    @app.function_name("dashboard_log")
    @app.route(route="dashboard/log", methods=["GET"])
    async def log(req: func.HttpRequest) -> func.HttpResponse:
        return await answer(lambda board: board.log(req.params.get("manifest", "")))

    @app.function_name("dashboard_replay")
    @app.route(route="dashboard/replay", methods=["POST"])
    async def replay(req: func.HttpRequest) -> func.HttpResponse:
        try:
            body = req.get_json()
        except ValueError:
            return _response(error_reply(400, "The body must be JSON."))
        return await answer(lambda board: board.replay(body))


def _add_shell(app: func.FunctionApp) -> None:
    @app.function_name("dashboard")
    @app.route(route="dashboard", methods=["GET"])
    async def dashboard(req: func.HttpRequest) -> func.HttpResponse:
        del req
        return _response(assets.page())

    @app.function_name("dashboard_page")
    @app.route(route="dashboard/page", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def page(req: func.HttpRequest) -> func.HttpResponse:
        del req
        return _response(assets.page())

    @app.function_name("dashboard_files")
    @app.route(route="dashboard/files/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def files(req: func.HttpRequest) -> func.HttpResponse:
        return _response(assets.asset(req.route_params.get("name", ""), known_tag=req.headers.get("If-None-Match", "")))


def _response(reply: Reply) -> func.HttpResponse:
    # The content type goes in with its parameters: `mimetype` alone would lose the charset.
    headers = {**reply.headers, "Content-Type": reply.content_type}
    return func.HttpResponse(reply.body, status_code=reply.status, headers=headers)
