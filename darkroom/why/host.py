"""Whether the function app is there, loads, and lets the operator in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from darkroom.app_door import Answer
from darkroom.connection import Connection
from darkroom.failure import CommandError
from darkroom.why.finding import Code, Finding, Weight
from darkroom.why.role import app_advice, is_denied
from shared.app_settings import StorageSettings

STATUS = "/api/status"
_NOT_RUNNING = b"Function host is not running"
"""What the Functions host answers (503) to everything while the app cannot be loaded."""


async def probe_host(connection: Connection) -> list[Finding]:
    """Asks the app's status function with the operator's key; with a master key, the host itself too."""
    app = connection.app
    if not app.known:
        return [
            Finding(
                code=Code.HOST_UNKNOWN,
                weight=Weight.NOTE,
                what="Where the function app is, is not known, so it was not asked.",
                advice="Set DARKROOM_FUNCTIONS_URL and DARKROOM_FUNCTIONS_KEY in the profile.",
            )
        ]
    try:
        if app.master_key:
            broken = await asyncio.to_thread(_host_errors, connection)
            if broken is not None:
                return [broken]
        answer = await asyncio.to_thread(app.call, STATUS)
    except CommandError as error:
        return [
            Finding(
                code=Code.HOST_DOWN,
                weight=Weight.BLOCKED,
                what=f"{error}. Events wait for it (Event Grid tries for a day), and no timer runs.",
                advice=error.hint,
            )
        ]
    if answer.status in (401, 403):
        return [
            Finding(
                code=Code.HOST_KEY_REFUSED,
                weight=Weight.NOTE,
                what="The function app refuses this profile's key; the pipeline itself does not need it.",
                advice="Set DARKROOM_FUNCTIONS_KEY to a function or host key (az functionapp keys list).",
            )
        ]
    if answer.status == 404:
        return [_does_not_load(f"{app.url} answers, but has no function at {STATUS}")]
    if answer.status >= 500:
        return [_fails(answer, connection.settings.storage)]
    if answer.status != 200 or "stages" not in _object(answer):
        return [
            Finding(
                code=Code.PROBE_FAILED,
                weight=Weight.NOTE,
                what=f"{app.url} answers {STATUS} with {answer.status}, and not as Darkroom does.",
                advice="DARKROOM_FUNCTIONS_URL is the function app's own address, https://NAME.azurewebsites.net.",
                evidence=_said(answer),
            )
        ]
    return []


def _fails(answer: Answer, storage: StorageSettings) -> Finding:
    """The app is there and its status function fails: what it says tells what keeps the whole app."""
    told = _object(answer)
    kind, message = str(told.get("error", "")), str(told.get("message", ""))
    if _NOT_RUNNING in answer.body:
        return _does_not_load(*_said(answer))
    if is_denied(kind, message):
        return Finding(
            code=Code.PERMISSION_DENIED,
            weight=Weight.BLOCKED,
            what="The function app's identity may not read what its status needs.",
            advice=app_advice(message, storage),
            evidence=(f"{kind}: {message}",),
        )
    wrong_setting = kind == "SettingsError"
    return Finding(
        code=Code.STAGE_FAILED,
        weight=Weight.BLOCKED if wrong_setting else Weight.SLOWED,
        what="A setting of the function app is wrong, so none of its functions works."
        if wrong_setting
        else f"The app's status function fails ({answer.status}).",
        advice="Set it right (az functionapp config appsettings set; here infra/local.json), and the app goes on."
        if wrong_setting
        else "Its log says why: the Function App's log stream, or DIR/logs/functions.log of a local cloud.",
        evidence=(f"{kind}: {message}",) if kind else _said(answer),
    )


def _said(answer: Answer) -> tuple[str, ...]:
    said = answer.body[:300].decode("utf-8", "replace").strip()
    return (said,) if said else ()


def _object(answer: Answer) -> dict[str, Any]:
    try:
        told = json.loads(answer.body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _host_errors(connection: Connection) -> Finding | None:
    answer = connection.app.call("/admin/host/status", key=connection.app.master_key)
    errors = _object(answer).get("errors") if answer.status == 200 else None
    return _does_not_load(*[str(error) for error in errors]) if isinstance(errors, list) and errors else None


def _does_not_load(*evidence: str) -> Finding:
    return Finding(
        code=Code.APP_DOES_NOT_LOAD,
        weight=Weight.BLOCKED,
        what="The function app runs, but none of its functions loads: no event is taken, and no timer runs.",
        advice="Mostly a wrong setting or a missing package; the log has the error: "
        "the Function App's log stream, or DIR/logs/functions.log of a local cloud.",
        evidence=evidence,
    )
