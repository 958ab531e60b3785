"""Whether the stages run, and what their last run said. They write `state/<stage>.json` each time. `judge` is pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from darkroom.connection import Connection
from darkroom.output import moment
from darkroom.why.finding import Code, Finding, Weight
from darkroom.why.role import app_advice, is_denied
from darkroom.why.schedule import next_due
from pipeline.app import SWEEP_SECONDS
from shared.app_settings import StorageSettings

_LONGEST = {"dispatch": 0.0, "collect": 0.0, "sweep": SWEEP_SECONDS + 120.0}
"""Seconds that a run may take beside the patience: a sweep goes through everything, and then prunes."""
_UNSEEN = ("missing", "stale")
"""What a sweep counts (pipeline/sweep.py) of images that had no event, or whose newest version had none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The last run of a stage."""

    name: str
    finished: datetime | None
    ok: bool
    code: str = ""
    message: str = ""
    schedule: str = ""
    """The schedule that the app itself had; empty where it did not say."""
    seen: Mapping[str, Any] = field(default_factory=dict)


def judge(
    stages: Mapping[str, Stage],
    now: datetime,
    *,
    schedules: Mapping[str, str],
    patience: float,
    storage: StorageSettings,
) -> list[Finding]:
    """Late timers, failing stages, and what the sweep found that events should have brought.

    A timer is late when it is `patience` seconds past due by its own schedule: the app's, else the one of `schedules`.
    """
    findings = []
    for name, longest in _LONGEST.items():
        stage = stages.get(name)
        if stage is None:
            if name != "sweep":
                findings.append(_late(name, "has never run"))
        elif stage.finished is None:
            findings.append(_late(name, "has never ended a run"))
        else:
            schedule = stage.schedule or schedules[name]
            due = next_due(schedule, stage.finished)
            if due is not None and now > due + timedelta(seconds=patience + longest):
                last = stage.finished.isoformat(timespec="seconds")
                findings.append(_late(name, f"({schedule}) has not run since {last}"))
    findings += [_failed(stage, storage) for stage in stages.values() if not stage.ok]
    return findings + _missed(stages.get("sweep"))


def _missed(sweep: Stage | None) -> list[Finding]:
    counts, examples = (_object(sweep.seen.get(name)) if sweep else {} for name in ("counts", "examples"))
    found = sum(count for kind in _UNSEEN if isinstance(count := counts.get(kind), int))
    if not found:
        return []
    names = [name for kind in _UNSEEN if isinstance(some := examples.get(kind), list) for name in some]
    return [
        Finding(
            code=Code.EVENTS_MISSED,
            weight=Weight.SLOWED,
            what=f"The last sweep found {found} image(s) that no event had brought. They are on their way now.",
            advice="If every sweep finds some, look at the event subscription: its filter, its failed deliveries.",
            evidence=tuple(str(name) for name in names[:5]),
        )
    ]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _late(name: str, since: str) -> Finding:
    return Finding(
        code=Code.TIMER_LATE,
        weight=Weight.SLOWED if name == "sweep" else Weight.BLOCKED,
        what=f"The timer of {name} {since}.",
        advice=f"darkroom doctor asks the function app: is it up, and does it load? Is the function not disabled "
        f"(setting AzureWebJobs.{name}.Disabled)?",
    )


def _failed(stage: Stage, storage: StorageSettings) -> Finding:
    if is_denied(stage.code, stage.message):
        return Finding(
            code=Code.PERMISSION_DENIED,
            weight=Weight.BLOCKED,
            what=f"The function app's identity may not do what {stage.name} needs.",
            advice=app_advice(stage.message, storage),
            evidence=(f"{stage.code}: {stage.message}",),
        )
    quota = stage.code.endswith("QuotaReached")
    return Finding(
        code=Code.QUOTA if quota else Code.STAGE_FAILED,
        weight=Weight.BLOCKED,
        what=f"{'A quota of the Batch account stops' if quota else 'The last run failed of'} {stage.name}.",
        advice="Ask for more (Batch account > Quotas), or let jobs end first: darkroom clean jobs."
        if quota
        else "It is tried again at its next run; if it stays, the message says what to mend.",
        evidence=(f"{stage.code}: {stage.message}",),
    )


async def probe_stages(connection: Connection, *, patience: float) -> list[Finding]:
    """Reads the stages' state documents, and judges them."""
    settings = connection.settings
    return judge(
        await read_stages(connection),
        datetime.now(UTC),
        schedules=settings.pipeline.schedules,
        patience=patience,
        storage=settings.storage,
    )


async def read_stages(connection: Connection) -> dict[str, Stage]:
    """The state documents by stage. One that cannot be read counts as a failed stage."""
    container = await connection.container(connection.settings.storage.manifests)
    stages = {}
    async for name in container.list_blob_names(name_starts_with="state/"):
        data = await (await container.download_blob(name)).readall()
        stage = _stage(name.removeprefix("state/").removesuffix(".json"), data)
        stages[stage.name] = stage
    return stages


def _stage(name: str, data: bytes) -> Stage:
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Stage(name=name, finished=None, ok=False, code="unreadable", message=f"state/{name}.json is no document")
    error = body.get("error")
    seen = body.get("seen")
    return Stage(
        name=name,
        finished=moment(str(body.get("finished") or "")),
        ok=bool(body.get("ok", True)),
        code=str(error.get("code", "")) if isinstance(error, dict) else "",
        message=str(error.get("message", "")) if isinstance(error, dict) else str(error or ""),
        schedule=str(body.get("schedule") or ""),
        seen=seen if isinstance(seen, dict) else {},
    )
