"""`darkroom pool show|scale|pause|resume|recreate`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

import typer

from darkroom.connection import Connection, connected
from darkroom.failure import CommandError
from darkroom.output import JsonOption, Output, ProfileOption, YesOption, confirm, safe
from darkroom.pool.recreation import recreate_pool
from darkroom.pool.view import PoolView, view_pool
from pipeline.scaling import build_formula

app = typer.Typer(no_args_is_help=True, help="The pool: show, scale, pause, resume, recreate.")


@app.command()
def show(*, profile: ProfileOption = "", as_json: JsonOption = False) -> None:
    """The pool, its nodes, its formula and what that last evaluated to."""
    out = Output(as_json=as_json)
    pool = connected(profile, view_pool)
    if as_json:
        out.document(pool)
    else:
        _tell(out, pool)


@app.command()
def scale(
    nodes: Annotated[int, typer.Argument(metavar="N", min=0, max=5000, help="Spot nodes wanted.")],
    *,
    dedicated: Annotated[int, typer.Option(min=0, max=5000, help="Dedicated nodes wanted.")] = 0,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """Hold the pool at a size, by hand: the formula is off until `pool resume`. Running tasks end first."""

    async def work(connection: Connection) -> PoolView:
        from azure.batch.models import BatchNodeDeallocationOption, BatchPoolResizeOptions  # noqa: PLC0415 (slow)

        cap = connection.settings.pool.max_nodes
        if nodes + dedicated > cap:
            Output(as_json=as_json).remark(
                f"[yellow]{nodes + dedicated} nodes are more than POOL_MAX_NODES ({cap}).[/]"
            )
        await _formula_off(connection)
        options = BatchPoolResizeOptions(
            target_low_priority_nodes=nodes,
            target_dedicated_nodes=dedicated,
            node_deallocation_option=BatchNodeDeallocationOption.TASK_COMPLETION,
        )
        client = await connection.batch()
        await client.begin_resize_pool(connection.settings.batch.pool_id, options, polling_interval=1)
        return await view_pool(connection)

    _done(connected(profile, work), "The formula is off; darkroom pool resume turns it on again.", as_json=as_json)


@app.command()
def pause(*, profile: ProfileOption = "", as_json: JsonOption = False) -> None:
    """Let running tasks end and go down to no node; work waits. `pool resume` goes on."""
    scale(0, dedicated=0, profile=profile, as_json=as_json)


@app.command()
def resume(*, profile: ProfileOption = "", as_json: JsonOption = False) -> None:
    """Turn the formula of the settings on (again)."""

    async def work(connection: Connection) -> PoolView:
        from azure.batch.models import BatchPoolEnableAutoScaleOptions  # noqa: PLC0415 (slow to load)

        await _settled(connection)
        pool = connection.settings.pool
        options = BatchPoolEnableAutoScaleOptions(
            auto_scale_formula=build_formula(pool),
            auto_scale_evaluation_interval=timedelta(minutes=pool.evaluation_interval),
        )
        await (await connection.batch()).enable_pool_auto_scale(connection.settings.batch.pool_id, options)
        return await view_pool(connection)

    _done(connected(profile, work), "The formula is on.", as_json=as_json)


@app.command()
def recreate(*, yes: YesOption = False, profile: ProfileOption = "", as_json: JsonOption = False) -> None:
    """Delete the pool and make it again from its own description. Running tasks are requeued, nothing is lost."""
    out = Output(as_json=as_json)

    async def work(connection: Connection) -> PoolView:
        pool = await view_pool(connection)
        if pool.identity:
            raise CommandError(
                f"Pool {pool.id} has a managed identity, which only a deployment can give",
                hint=f"az batch pool delete --pool-id {pool.id}, then azd provision.",
            )
        confirm(f"Delete pool {pool.id} with {sum(pool.nodes.values())} node(s) and make it again?", yes=yes)
        with out.remarks.status("waiting until the old pool is gone"):
            try:
                await recreate_pool(connection)
            except asyncio.CancelledError:  # Ctrl-C
                out.remark(
                    "The old pool is going, and no new one was made: dispatch does (BATCH_POOL_CREATE), or deploy."
                )
                raise
        return await view_pool(connection)

    _done(connected(profile, work), "The pool is made again.", as_json=as_json)


async def _formula_off(connection: Connection) -> None:
    pool = await view_pool(connection)
    if pool.autoscale:
        await (await connection.batch()).disable_pool_auto_scale(pool.id)
    await _settled(connection)


async def _settled(connection: Connection) -> None:
    """A resize that is under way stands in the way of another: it is stopped where it is."""
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 (slow to load)

    pool = await view_pool(connection)
    if pool.allocation == "resizing":
        # 409: it came to its end since it was looked at.
        with suppress(ResourceExistsError):
            await (await connection.batch()).begin_stop_pool_resize(pool.id, polling_interval=1)
        poll = await view_pool(connection)
        for _ in range(120):
            if poll.allocation == "steady":
                return
            await asyncio.sleep(0.5)
            poll = await view_pool(connection)
        raise CommandError(f"Pool {pool.id} is still {poll.allocation}; try again in a minute")


def _done(pool: PoolView, sentence: str, *, as_json: bool) -> None:
    out = Output(as_json=as_json)
    if as_json:
        out.document(pool)
        return
    out.say(sentence)
    _tell(out, pool)


def _tell(out: Output, pool: PoolView) -> None:
    nodes = ", ".join(f"{count} {state}" for state, count in sorted(pool.nodes.items())) or "none"
    resizing = pool.allocation == "resizing" and pool.allocation_minutes >= 1
    since = f" for {pool.allocation_minutes:.0f} min" if resizing else ""
    rows = [
        (
            "pool",
            f"{pool.id} ({pool.state}, {pool.allocation}{since}), {pool.vm_size}, {pool.slots_per_node} slot(s) a node",
        ),
        ("wanted", f"{pool.target_low_priority} Spot, {pool.target_dedicated} dedicated"),
        ("there", f"{pool.current_low_priority} Spot, {pool.current_dedicated} dedicated"),
        ("nodes", nodes),
        ("formula", f"on, every {pool.interval_minutes:g} min" if pool.autoscale else "off (held by hand)"),
        ("evaluated", f"{pool.evaluated or 'never'} {pool.evaluation}".strip()),
        ("identity", pool.identity or "none"),
    ]
    rows += [("resize error", error) for error in pool.resize_errors]
    if pool.evaluation_error:
        rows.append(("formula error", pool.evaluation_error))
    out.table("", ["", ""], [(name, safe(value)) for name, value in rows])
