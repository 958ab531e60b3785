"""Checks, each with a verdict. What a finding of `darkroom why` says, a check repeats in the doctor's order."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

from darkroom.connection import Connection
from darkroom.failure import CommandError
from darkroom.pool.view import view_pool
from darkroom.why.diagnosis import guarded
from darkroom.why.finding import Finding, Weight
from darkroom.why.host import probe_host
from darkroom.why.pool import Pending, probe_pool
from darkroom.why.role import containers
from darkroom.why.storage import probe_storage

PACKAGES = ("azure-batch", "azure-storage-blob", "azure-identity", "pillow", "isal", "deflate")
_MINIMUM = {"azure-batch": (15, 1), "azure-storage-blob": (12, 31)}


class Verdict(StrEnum):
    """How a check ended."""

    FINE = "fine"
    LOOK = "look"  # works, but somebody should know
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked."""

    about: str
    verdict: Verdict
    detail: str = ""
    advice: str = ""


def check_versions() -> list[Check]:
    """Python and the packages that matter, against what this release was made for."""
    checks = [Check(about="Python", verdict=Verdict.FINE, detail=platform.python_version())]
    for name in PACKAGES:
        try:
            found = version(name)
        except PackageNotFoundError:
            checks.append(Check(about=name, verdict=Verdict.LOOK, detail="not installed", advice=f"pip install {name}"))
            continue
        parts = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
        old = name in _MINIMUM and parts < _MINIMUM[name]
        wanted = ".".join(str(part) for part in _MINIMUM.get(name, ()))
        checks.append(
            Check(
                about=name,
                verdict=Verdict.WRONG if old else Verdict.FINE,
                detail=found,
                advice=f"pip install '{name}>={wanted}'" if old else "",
            )
        )
    return checks


async def check_system(connection: Connection) -> list[Check]:
    """Storage and its containers, Batch and its pool, the function app."""
    settings = connection.settings
    checks = _of(
        f"storage, {len(containers(settings.storage))} containers",
        await guarded("storage", probe_storage, connection),
    )

    async def pool(connected: Connection) -> list[Finding]:
        return await probe_pool(connected, Pending(active=0, running=0))

    pool_findings = await guarded("the pool", pool, connection)
    checks += _of(f"Batch, pool {settings.batch.pool_id}", pool_findings)
    if not any(finding.weight is Weight.BLOCKED for finding in pool_findings):
        checks += await _identity(connection)
    checks += _of("function app", await guarded("the function app", probe_host, connection))
    return checks


async def _identity(connection: Connection) -> list[Check]:
    try:
        pool = await view_pool(connection)
    except CommandError:
        return []  # not made yet: told above
    if pool.identity:
        return [Check(about="the pool's identity", verdict=Verdict.FINE, detail=pool.identity)]
    return [Check(about="the pool's identity", verdict=Verdict.FINE, detail="none needed on this machine")]


def _of(about: str, findings: list[Finding]) -> list[Check]:
    if not findings:
        return [Check(about=about, verdict=Verdict.FINE)]
    return [
        Check(
            about=about,
            verdict=Verdict.LOOK if finding.weight is Weight.NOTE else Verdict.WRONG,
            detail=" | ".join((finding.what, *finding.evidence)),
            advice=finding.advice,
        )
        for finding in findings
    ]
