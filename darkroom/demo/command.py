"""`darkroom demo`: drops images into a local cloud of its own and accounts for every one of them."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from darkroom.connection import Connection, connect
from darkroom.demo.cloud import CloudError, RunningCloud, local_cloud
from darkroom.demo.diagnosis import diagnose
from darkroom.demo.ledger import Ledger, Place
from darkroom.demo.subjects import Subject, subjects
from darkroom.demo.verify import wrong_pngs
from darkroom.demo.view import View
from darkroom.demo.watch import Sight, look
from darkroom.failure import CommandError, ExitCode
from shared.naming import Naming

app = typer.Typer()

_LOOK_SECONDS = 0.5
_UPLOADS_AT_ONCE = 8
_SCALE_DOWN_SECONDS = 45.0
_MANIFEST_IMAGES = 25
_SETTINGS = {
    # Small manifests that do not wait: several tasks, so that the pool has a reason to grow.
    "MANIFEST_MAX_IMAGES": str(_MANIFEST_IMAGES),
    "MANIFEST_MAX_AGE": "1",
    "POOL_MAX_NODES": "3",
    "POOL_SCALE_DOWN_PATIENCE": "5",
}


@dataclass(slots=True)
class _Run:
    """What one demo knows by now."""

    images: int
    folder: Path
    view: View
    ledger: Ledger
    sight: Sight | None = None
    nodes_peak: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@app.command()
def demo(
    images: Annotated[int, typer.Option(min=1, max=100_000, help="How many images are dropped.")] = 200,
    speed: Annotated[float, typer.Option(min=1, max=600, help="How much shorter than on Azure its minutes are.")] = 60,
    deadline: Annotated[float, typer.Option(min=10, help="Give up after so many seconds.")] = 600,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder of the local cloud.")] = False,
) -> None:
    """Start a local cloud, drop images, watch nodes come and go, compare every PNG with its source to the pixel."""
    if sys.platform == "win32":
        raise CommandError(
            "The local cloud runs on Linux and macOS.", code=ExitCode.SETTINGS, hint="On Windows: inside WSL."
        )
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="darkroom-demo-"))
    try:
        run = _watched(console, folder, images=images, speed=speed, deadline=deadline)
    except BaseException:  # Ctrl-C, or a defect: nothing to look at later
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if run.problems:
        for line in [*run.problems, *diagnose(folder, run.ledger, run.sight)]:
            console.print(Text(line), soft_wrap=True)
    elif not keep:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(Text(_last_line(run)), soft_wrap=True)
    if run.problems:
        raise typer.Exit(ExitCode.NOT_OK)


def _watched(console: Console, folder: Path, *, images: int, speed: float, deadline: float) -> _Run:
    from azure.core.exceptions import AzureError  # noqa: PLC0415 (slow to load)

    with View(console, images=images) as view:
        run = _Run(images=images, folder=folder, view=view, ledger=Ledger(naming=Naming.REPLACE))
        try:
            asyncio.run(_demo(run, speed=speed, deadline=deadline))
        except* (CloudError, AzureError) as errors:
            run.problems += [str(error) for error in errors.exceptions]
    return run


def _last_line(run: _Run) -> str:
    converted, quarantined = run.ledger.count(Place.CONVERTED), run.ledger.count(Place.QUARANTINED)
    rate = (converted + quarantined) / run.seconds if run.seconds else 0.0
    return (
        f"images={run.images} converted={converted} quarantined={quarantined} seconds={run.seconds:.1f}"
        f" images_per_second={rate:.1f} nodes_peak={run.nodes_peak}"
    )


async def _demo(run: _Run, *, speed: float, deadline: float) -> None:
    run.view.say(f"starting a local cloud in {run.folder}; its clock runs {speed:g} times faster than Azure's")
    async with local_cloud(run.folder, speed=speed, settings=_SETTINGS) as cloud:
        run.view.say("storage, events, functions and batch are up")
        async with connect(cloud.profile) as connection:
            run.ledger.naming = connection.settings.pipeline.naming
            try:
                async with asyncio.timeout(deadline):
                    await _drop_and_wait(run, cloud, connection)
            except TimeoutError:
                run.problems.append(f"not done after {deadline:g} s")
                return
            run.problems += run.ledger.misplaced()
            run.view.say("comparing every PNG with its source")
            run.problems += await wrong_pngs(connection, run.ledger)
            await _watch_scale_down(run, cloud, connection)
    run.view.say("stopped")


async def _drop_and_wait(run: _Run, cloud: RunningCloud, connection: Connection) -> None:
    started = time.monotonic()
    dropping = asyncio.create_task(_drop(run, connection))
    try:
        while True:
            cloud.check()
            await _look(run, connection, "dropping images" if not dropping.done() else "images are on their way")
            if dropping.done():
                dropping.result()
                if not run.ledger.missing:
                    break
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        dropping.cancel()
        await asyncio.gather(dropping, return_exceptions=True)
    run.seconds = time.monotonic() - started
    run.view.say(f"all {run.images} images are accounted for")


async def _look(run: _Run, connection: Connection, activity: str) -> None:
    run.sight = await look(connection, run.ledger)
    run.nodes_peak = max(run.nodes_peak, run.sight.node_count)
    run.view.show(run.sight, activity)


async def _drop(run: _Run, connection: Connection) -> None:
    """Everything once; then, when the first PNGs have landed, the new versions of some."""
    planned = list(subjects(run.images))
    await _upload(run, connection, planned, version=1)
    run.view.say(f"dropped {len(planned)} images")
    replaced = [subject for subject in planned if subject.replaced]
    if replaced:
        while not run.ledger.places:  # noqa: ASYNC110 (the ledger learns by looking)
            await asyncio.sleep(_LOOK_SECONDS)
        await _upload(run, connection, replaced, version=2)
        run.view.say(f"replaced {len(replaced)} of them by a new version")


async def _upload(run: _Run, connection: Connection, planned: list[Subject], *, version: int) -> None:
    container = await connection.container(connection.settings.storage.images)
    slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    async def one(subject: Subject) -> None:
        async with slots:
            data = await asyncio.to_thread(subject.data, version)
            written = await container.get_blob_client(subject.name).upload_blob(data, overwrite=True)
            run.ledger.dropped(subject, version, str(written["etag"]))

    async with asyncio.TaskGroup() as uploads:
        for subject in planned:
            uploads.create_task(one(subject))


async def _watch_scale_down(run: _Run, cloud: RunningCloud, connection: Connection) -> None:
    """No work is left, so the pool's formula gives its nodes back."""
    started = time.monotonic()
    while run.sight is None or run.sight.node_count:
        if time.monotonic() - started > _SCALE_DOWN_SECONDS:
            run.problems.append(f"the pool did not give its nodes back in {_SCALE_DOWN_SECONDS:g} s")
            return
        cloud.check()
        await asyncio.sleep(_LOOK_SECONDS)
        await _look(run, connection, "no work is left: the pool gives its nodes back")
    run.view.say("the pool has given its nodes back")
