"""`darkroom make-images N`: makes test images in the images container."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any

import typer

from darkroom.connection import Connection, connected, gather_bounded
from darkroom.drop.upload import Done, Dropped, upload
from darkroom.failure import ExitCode
from darkroom.images.picture import picture, picture_name
from darkroom.output import JsonOption, Output, ProfileOption, size

TEST_PREFIX = "test-images/"
"""Where `make-images` puts them, and what `clean test-images` removes."""

app = typer.Typer()


@app.command("make-images")
def make_images(
    count: Annotated[int, typer.Argument(metavar="N", min=1, max=1_000_000, help="How many.")],
    *,
    prefix: Annotated[str, typer.Option(help="Goes before every name.")] = TEST_PREFIX,
    width: Annotated[int, typer.Option(min=16, max=20_000, help="Pixels.")] = 800,
    height: Annotated[int, typer.Option(min=16, max=20_000, help="Pixels.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 1,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make test images in the container. The same call again changes nothing (and so converts nothing)."""
    out = Output(as_json=as_json)

    async def work(connection: Connection) -> list[Dropped]:
        container = await connection.container(connection.settings.storage.images)

        async def one(number: int) -> Dropped:
            data = await asyncio.to_thread(picture, number, seed=seed, width=width, height=height)
            return await upload(container, picture_name(number, prefix), data)

        async def jobs() -> AsyncIterator[Coroutine[Any, Any, Dropped]]:
            for number in range(1, count + 1):
                yield one(number)

        ends = []
        with out.progress(unit="images") as progress:
            bar = progress.add_task("make", total=count)
            async for end in gather_bounded(jobs(), 8):
                ends.append(end)
                progress.advance(bar)
        return ends

    ends = connected(profile, work)
    made = [end for end in ends if end.done is Done.UPLOADED]
    failed = [end for end in ends if end.done is Done.FAILED]
    if as_json:
        out.document(
            {
                "made": len(made),
                "unchanged": len(ends) - len(made) - len(failed),
                "failed": failed,
                "bytes": sum(end.bytes for end in made),
                "prefix": prefix,
            }
        )
    else:
        made_bytes = size(sum(end.bytes for end in made))
        out.say(
            f"made {len(made)} ({made_bytes}) under {prefix or 'no prefix'}, unchanged "
            f"{len(ends) - len(made) - len(failed)}, failed {len(failed)}"
        )
    if failed:
        raise typer.Exit(ExitCode.NOT_OK)
