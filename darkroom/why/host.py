"""Whether the function app is there, loads, and lets the operator in."""

from __future__ import annotations

import asyncio

from darkroom.connection import Connection
from darkroom.failure import CommandError
from darkroom.why.finding import Code, Finding, Weight

STATUS = "/api/status"


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
        said = answer.body[:300].decode("utf-8", "replace")
        return [
            Finding(
                code=Code.STAGE_FAILED,
                weight=Weight.SLOWED,
                what=f"The app's status function fails ({answer.status}).",
                advice="Its log says why: the Function App's log stream, or DIR/logs/functions.log of a local cloud.",
                evidence=(said,) if said else (),
            )
        ]
    return []


def _host_errors(connection: Connection) -> Finding | None:
    answer = connection.app.call("/admin/host/status", key=connection.app.master_key)
    if answer.status != 200:
        return None
    told = answer.json()
    errors = told.get("errors") if isinstance(told, dict) else None
    return _does_not_load(*[str(error) for error in errors]) if errors else None


def _does_not_load(*evidence: str) -> Finding:
    return Finding(
        code=Code.APP_DOES_NOT_LOAD,
        weight=Weight.BLOCKED,
        what="The function app runs, but none of its functions loads: no event is taken, and no timer runs.",
        advice="Mostly a wrong setting or a missing package; the host's log has the error..",
        evidence=evidence,
    )
