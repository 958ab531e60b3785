"""Whether the stages run, and what their last run said. They write `state/<stage>.json` each time. `judge` is pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from darkroom.connection import Connection
from darkroom.output import moment
from darkroom.why.finding import Code, Finding, Weight

_LATE = {"dispatch": 300.0, "collect": 300.0, "sweep": 2.5 * 3600}
"""Seconds after which a timer is late; the schedules of the settings may be slower, and then this is a remark only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The last run of a stage."""

    name: str
    finished: datetime | None
    ok: bool
    code: str = ""
    message: str = ""
    seen: Mapping[str, Any] = field(default_factory=dict)


def judge(stages: Mapping[str, Stage], now: datetime) -> list[Finding]:
    """Late timers, failing stages, and what the sweep found that events should have brought."""
    findings = []
    for name, patience in _LATE.items():
        stage = stages.get(name)
        if stage is None:
            if name != "sweep":
                findings.append(_late(name, "has never run"))
        elif stage.finished is None or (now - stage.finished).total_seconds() > patience:
            last = stage.finished.isoformat(timespec="seconds") if stage.finished else ""
            findings.append(_late(name, f"has not run since {last}" if last else "has never ended a run"))
    findings += [_failed(stage) for stage in stages.values() if not stage.ok]
    sweep = stages.get("sweep")
    missing = sweep.seen.get("missing", 0) if sweep else 0
    if isinstance(missing, int) and missing > 0:
        findings.append(
            Finding(
                code=Code.EVENTS_MISSED,
                weight=Weight.SLOWED,
                what=f"The last sweep found {missing} image(s) that no event had brought. They are on their way now.",
                advice="If every sweep finds some, look at the event subscription: its filter, its failed deliveries.",
                evidence=tuple(str(name) for name in _examples(sweep))[:5],
            )
        )
    return findings


def _examples(sweep: Stage | None) -> list[Any]:
    examples = sweep.seen.get("examples", {}) if sweep else {}
    found = examples.get("missing", []) if isinstance(examples, dict) else []
    return found if isinstance(found, list) else []


def _late(name: str, since: str) -> Finding:
    return Finding(
        code=Code.TIMER_LATE,
        weight=Weight.SLOWED if name == "sweep" else Weight.BLOCKED,
        what=f"The timer of {name} {since}.",
        advice="Is the function app up, and the function not disabled? An app that does not load runs no timer.",
    )


def _failed(stage: Stage) -> Finding:
    text = f"{stage.code} {stage.message}".lower()
    denied = any(word in text for word in ("denied", "lacks a role", "403", "authoriz", "forbidden", "permission"))
    if denied:
        return Finding(
            code=Code.PERMISSION_DENIED,
            weight=Weight.BLOCKED,
            what=f"The function app's identity may not do what {stage.name} needs.",
            advice="docs/azure.md has the table of roles; a role just given takes minutes to hold.",
            evidence=(f"{stage.code}: {stage.message}",),
        )
    quota = "quota" in text
    return Finding(
        code=Code.QUOTA if quota else Code.STAGE_FAILED,
        weight=Weight.BLOCKED,
        what=f"{'A quota of the Batch account stops' if quota else 'The last run failed of'} {stage.name}.",
        advice="Ask for more (Batch account > Quotas), or let jobs end first: darkroom clean jobs."
        if quota
        else "It is tried again at its next run; if it stays, the message says what to mend.",
        evidence=(f"{stage.code}: {stage.message}",),
    )


async def probe_stages(connection: Connection) -> list[Finding]:
    """Reads the stages' state documents, and judges them."""
    return judge(await read_stages(connection), datetime.now(UTC))


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
        seen=seen if isinstance(seen, dict) else {},
    )
