"""`darkroom sweep`: looks now for what events missed, without waiting for the timer."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from darkroom.app_door import AppDoor
from darkroom.output import DryRunOption, JsonOption, Output, PrefixOption, ProfileOption, duration, safe
from darkroom.profile import Profile, current_profile

app = typer.Typer()
_WORDS = {
    "images": "images",
    "current": "with a current PNG",
    "missing": "missing",
    "stale": "with a PNG of an older version",
    "quarantined": "in quarantine",
    "in_flight": "on their way already",
    "young": "too young: left to their events",
    "conflict": "whose PNG name another image has",
    "ignored": "ignored: no JPG by their names",
    "orphaned_pngs": "PNGs without an image",
    "outdated_pngs": "PNGs of a version that one in quarantine has replaced",
    "deleted_pngs": "PNGs deleted",
    "outdated_quarantine": "quarantine documents of other versions, removed",
}
HTTP_SECONDS = 240.0


@app.command()
def sweep(
    *,
    prefix: PrefixOption = "",
    dry_run: DryRunOption = False,
    min_age: Annotated[
        float | None, typer.Option(min=0, help="Seconds; younger images are left to their events (SWEEP_MIN_AGE).")
    ] = None,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Find every image that has neither a current PNG, nor a quarantine document, nor a place in line."""
    out = Output(as_json=as_json)
    place = current_profile(profile)
    with out.remarks.status("sweeping"):
        report = sweep_now(place, prefix=prefix, dry_run=dry_run, min_age=min_age)
    if as_json:
        out.document(report)
    else:
        _tell(out, report)


def sweep_now(
    place: Profile, *, prefix: str = "", dry_run: bool = False, min_age: float | None = None, via: str = "sweep"
) -> dict[str, Any]:
    """A sweep's report. By the function app, with its identity, where the profile names it; else from here."""
    door = AppDoor(url=place.functions_url, key=place.functions_key)
    if door.known:
        query = {"prefix": prefix, "dry_run": "true" if dry_run else "", "via": via}
        query["min_age"] = "" if min_age is None else f"{min_age:g}"
        report: dict[str, Any] = door.ask(
            "/api/sweep",
            method="POST",
            query={key: value for key, value in query.items() if value},
            timeout=HTTP_SECONDS,
        )
        return report

    async def here() -> dict[str, Any]:
        from pipeline.clients import open_app  # noqa: PLC0415 (slow to load)

        async with open_app(place.values) as darkroom:
            return (await darkroom.sweep(prefix=prefix, dry_run=dry_run, min_age=min_age, via=via)).as_json()

    return asyncio.run(here())


def _tell(out: Output, report: dict[str, Any]) -> None:
    counts: dict[str, int] = report.get("counts", {})
    examples: dict[str, list[str]] = report.get("examples", {})
    rows = [
        (
            f"{count:,}",
            _WORDS.get(name, name.replace("_", " ")),
            ", ".join(safe(one) for one in examples.get(name, [])[:2]),
        )
        for name, count in counts.items()
    ]
    if rows:
        out.table("", ["", "", "examples"], rows)
    else:
        out.say("no image there")
    if report.get("dry_run"):
        out.say("a dry run: nothing was sent on its way")
    elif any(counts.get(name) for name in ("missing", "stale", "conflict")):
        out.say("what is missing or stale is on its way now")
    if not report.get("complete", True):
        out.say(f"not through yet; the next sweep goes on from here (one takes at most {duration(HTTP_SECONDS)})")
