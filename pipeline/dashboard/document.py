"""The page's main document, made of a status and what is known beside it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.dashboard.progress import Recent
from pipeline.open_manifest import OpenManifest
from pipeline.status import Status

SHOWN = 50
"""Manifests that the page names; of the others it tells how many."""
LARGEST_PICTURE = 1_500_000
"""Bytes of a PNG that the page still shows."""

_ADVICE = {
    "pool-missing": "It is made by dispatch (BATCH_POOL_CREATE) or by the deployment.",
    "inbox-refused": "darkroom why says which, and what to do.",
}


def document(
    status: Status, done: Mapping[str, int], recent: Iterable[Recent], closed: Iterable[str] = ()
) -> dict[str, Any]:
    """What `/api/dashboard/data` answers. `closed`: the manifests that were closed last."""
    totals = status.totals
    return {
        "at": status.at,
        "counts": {
            "waiting": status.waiting,
            "oldest_waiting_seconds": status.oldest_waiting_seconds,
            "open_manifests": status.open_manifests,
            "open_images": status.open_images,
            "converted": totals.get("converted", 0),
            "quarantined": status.quarantined,
            "nodes": _counts(status.nodes),
            "tasks": _counts(status.tasks),
        },
        "rates": dict(status.rates),
        "troubles": [
            {
                "code": str(trouble.get("code", "")),
                "what": str(trouble.get("message", "")),
                "advice": _ADVICE.get(str(trouble.get("code", "")), "darkroom why says more."),
            }
            for trouble in status.troubles
        ],
        "stages": [
            {
                "stage": name,
                "finished": state.finished if state else "",
                "ok": state.ok if state else True,
                "error": state.error.get("message", "") if state and state.error else "",
            }
            for name, state in status.stages.items()
        ],
        "pool": _pool_facts(status.pool),
        "formula": _formula(status.pool),
        "manifests": [_manifest(one, done) for one in status.manifests[:SHOWN]],
        "manifests_left": max(0, status.open_manifests - SHOWN),
        "closed": list(closed),
        "recent": [
            {"png": one.png, "at": one.at, "bytes": one.bytes, "too_large": one.bytes > LARGEST_PICTURE}
            for one in recent
        ],
    }


def _manifest(one: OpenManifest, done: Mapping[str, int]) -> dict[str, Any]:
    if not one.job:
        state = "waits for a task"
    elif done.get(one.id):
        state = "running"
    else:
        state = "submitted"
    return {
        "id": one.id,
        "images": one.images,
        "done": done.get(one.id),
        "state": state,
        "since": one.submitted or one.created,
        "submitted": bool(one.job),
    }


def _formula(pool: Mapping[str, Any]) -> str:
    scaling = pool.get("autoscale")
    return str(scaling.get("formula", "")) if isinstance(scaling, dict) else ""


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in value.items() if isinstance(count, int | float) and count}


def _pool_facts(pool: Mapping[str, Any]) -> dict[str, str]:
    """The pool in words, in the order in which the page shows it."""
    if not pool:
        return {"pool": "not looked at yet"}
    if not pool.get("exists", True):
        return {"pool": "there is none"}
    facts = {
        "pool": f"{pool.get('id', '')} ({pool.get('state', '')}, {pool.get('allocation_state', '')})",
        "size wanted": f"{pool.get('target_low_priority', 0)} Spot, {pool.get('target_dedicated', 0)} dedicated",
        "size": f"{pool.get('current_low_priority', 0)} Spot, {pool.get('current_dedicated', 0)} dedicated",
        "VM": f"{pool.get('vm_size', '')}, {pool.get('slots', 1)} slot(s)",
    }
    scaling = pool.get("autoscale")
    if isinstance(scaling, dict):
        facts["formula"] = "on" if scaling.get("enabled") else "off (held by hand)"
        if scaling.get("evaluated"):
            facts["last evaluation"] = str(scaling["evaluated"])
            facts["evaluated to"] = "; ".join(
                part for part in str(scaling.get("results", "")).split(";") if part.startswith("$")
            )
        if scaling.get("error"):
            facts["evaluation error"] = str(scaling["error"])
    return facts
