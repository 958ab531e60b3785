"""All probes, side by side. A probe that fails is a finding too: it must not keep the others from speaking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from darkroom.connection import Connection
from darkroom.failure import ExitCode, explain
from darkroom.why.events import probe_events
from darkroom.why.finding import PATIENCE, Code, Finding, Weight
from darkroom.why.host import probe_host
from darkroom.why.pool import Pending, probe_pool
from darkroom.why.stages import probe_stages
from darkroom.why.storage import is_shut, probe_storage
from darkroom.why.work import judge_work, look_at_work

Probe = Callable[[Connection], Awaitable[list[Finding]]]
_ORDER = {Weight.BLOCKED: 0, Weight.SLOWED: 1, Weight.NOTE: 2}


async def diagnose(connection: Connection, *, patience: float = PATIENCE) -> list[Finding]:
    """Every finding, the weightiest first. `patience`: seconds that a timer, an arrival, an event may be late."""
    storage, host = await asyncio.gather(
        guarded("storage", probe_storage, connection), guarded("the function app", probe_host, connection)
    )
    found = storage + host
    if not is_shut(storage):
        for more in await asyncio.gather(
            guarded("events", partial(probe_events, patience=patience), connection),
            guarded("the stages", partial(probe_stages, patience=patience), connection),
            guarded("work and pool", partial(_work_and_pool, patience=patience), connection),
        ):
            found += more
    else:
        found += await guarded("the pool", _pool_alone, connection)
    return sorted(_distinct(found), key=lambda finding: _ORDER[finding.weight])


async def guarded(about: str, probe: Probe, connection: Connection) -> list[Finding]:
    """The probe's findings, or the one that says why it could not look."""
    try:
        return await probe(connection)
    except Exception as error:  # noqa: BLE001 (told as a finding, with what it was)
        failure = explain(error)
        if failure.code is ExitCode.DENIED:
            code, weight = Code.PERMISSION_DENIED, Weight.BLOCKED
        elif failure.code is ExitCode.UNREACHABLE:
            code, weight = Code.BATCH_AWAY if "pool" in about else Code.PROBE_FAILED, Weight.BLOCKED
        else:
            code, weight = Code.PROBE_FAILED, Weight.NOTE
        return [
            Finding(
                code=code,
                weight=weight,
                what=f"Could not look at {about}: {failure.message}",
                advice=_batch_role(connection)
                if code is Code.PERMISSION_DENIED and _is_batch(connection, failure.message)
                else failure.hint,
            )
        ]


async def _work_and_pool(connection: Connection, *, patience: float) -> list[Finding]:
    work = await look_at_work(connection)
    return judge_work(work, connection.settings.pipeline, patience=patience) + await probe_pool(
        connection, work.pending
    )


async def _pool_alone(connection: Connection) -> list[Finding]:
    return await probe_pool(connection, Pending(active=0, running=0))


def _is_batch(connection: Connection, message: str) -> bool:
    """Whether it was Batch that refused: who looks at work and pool asks storage, too. A refusal names its address."""
    return bool(connection.settings.batch.endpoint) and connection.settings.batch.endpoint.rstrip("/") in message


def _batch_role(connection: Connection) -> str:
    if connection.settings.batch.key:
        return "BATCH_KEY is not the key of this Batch account."
    return "Role needed: Azure Batch Data Contributor on the Batch account. A new role takes minutes to hold."


def _distinct(findings: list[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))
