"""`darkroom run`: converts what is there now, and with --wait follows it to its end."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from darkroom.failure import CommandError, ExitCode
from darkroom.output import JsonOption, Output, PrefixOption, ProfileOption, plain, safe

app = typer.Typer()


@app.command()
def run(
    *,
    prefix: PrefixOption = "",
    tasks: Annotated[
        str, typer.Option(metavar="N|auto", help="How many tasks; auto: as many as the pool has slots.")
    ] = "auto",
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until every image is accounted for.")] = False,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds that --wait waits at most.")] = None,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Convert every image that has no current PNG, now, without waiting for events.

    With --wait: exit 1 when an image was rejected or left over, 7 when the time was over first.
    """
    from darkroom import api  # noqa: PLC0415 (Azure's SDKs are slow to load)

    out = Output(as_json=as_json)
    wanted = _tasks(tasks)
    with api.system(profile or None) as darkroom:
        started = time.monotonic()
        with out.remarks.status("comparing images with PNGs"):
            begun = darkroom.start(prefix=prefix, tasks=wanted)
        told: dict[str, Any] = {"run": begun.id, "images": begun.images, "manifests": list(begun.manifests)}
        told["on_their_way"] = begun.on_their_way
        if not begun.manifests or not wait:
            _tell_start(out, told)
            return
        try:
            with out.progress(unit="images") as progress:
                bar = progress.add_task("run", total=begun.images)
                result = darkroom.wait(
                    begun, seconds=timeout, told=lambda now: progress.update(bar, completed=now.done)
                )
        except KeyboardInterrupt:
            out.remark(f"run {begun.id} goes on by itself: darkroom status shows how it goes")
            raise
        seconds = time.monotonic() - started
    if as_json:
        out.document(told | plain(result) | {"seconds": round(seconds, 1), "right": result.right})
    else:
        shown = ", ".join(f"{count:,} {name}" for name, count in result.counts.items()) or "nothing"
        out.say(f"run {begun.id}: {begun.images:,} images in {seconds:.1f} s: {shown}")
        for one in result.rejected[:20]:
            out.say(f"  [red]{safe(one.name)}[/]: {safe(one.reason)} {safe(one.detail)}")
    if not result.finished:
        raise CommandError(
            f"Not finished after {timeout:g} s; it goes on by itself",
            code=ExitCode.TIMEOUT,
            hint="darkroom status shows how it goes.",
        )
    if not result.right:
        raise typer.Exit(ExitCode.NOT_OK)


def _tell_start(out: Output, told: dict[str, Any]) -> None:
    if out.as_json:
        out.document(told)
    elif not told["manifests"] and told["on_their_way"]:
        out.say(f"nothing new: {told['on_their_way']:,} images are on their way already (darkroom status)")
    elif not told["manifests"]:
        out.say("nothing to do: every image has its PNG or its quarantine document")
    else:
        out.say(f"run {told['run']}: {told['images']:,} images in {len(told['manifests'])} task(s) are on their way")


def _tasks(text: str) -> Any:
    if text == "auto":
        return "auto"
    if text.isdecimal() and 1 <= int(text) <= 10_000:
        return int(text)
    raise typer.BadParameter("--tasks must be auto, or a number from 1 to 10000")
