"""The pool as Batch tells it, in the words that people ask in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from darkroom.connection import Connection
from darkroom.failure import CommandError, ExitCode
from darkroom.state_word import state_word

if TYPE_CHECKING:
    from azure.batch.models import BatchPool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """A pool at one moment. Node counts by state hold both kinds of node."""

    id: str
    state: str
    allocation: str
    allocation_minutes: float
    """Since when it is so, by the service's own clock: this machine's may be wrong, a local service's runs faster."""
    vm_size: str
    slots_per_node: int
    target_dedicated: int
    target_low_priority: int
    current_dedicated: int
    current_low_priority: int
    nodes: dict[str, int]
    autoscale: bool
    formula: str
    interval_minutes: float
    evaluated: str
    evaluation: str
    evaluation_error: str
    resize_errors: tuple[str, ...]
    identity: str
    start_task: str


async def view_pool(connection: Connection) -> PoolView:
    """The pool of the settings. Raises CommandError when it is missing."""
    pool, served, nodes = await _ask(connection)
    run = pool.auto_scale_run
    formula_error = run.error if run else None
    interval = pool.auto_scale_evaluation_interval
    return PoolView(
        id=pool.id or "",
        state=state_word(pool.state),
        allocation=state_word(pool.allocation_state),
        allocation_minutes=_minutes(pool.allocation_state_transition_time, served or datetime.now(UTC)),
        vm_size=pool.vm_size or "",
        slots_per_node=pool.task_slots_per_node or 1,
        target_dedicated=pool.target_dedicated_nodes or 0,
        target_low_priority=pool.target_low_priority_nodes or 0,
        current_dedicated=pool.current_dedicated_nodes or 0,
        current_low_priority=pool.current_low_priority_nodes or 0,
        nodes=nodes,
        autoscale=bool(pool.enable_auto_scale),
        formula=pool.auto_scale_formula or "",
        interval_minutes=interval.total_seconds() / 60 if interval else 0.0,
        evaluated=run.timestamp.isoformat() if run and run.timestamp else "",
        evaluation=(run.results or "") if run else "",
        evaluation_error=f"{formula_error.code}: {formula_error.message}" if formula_error else "",
        resize_errors=tuple(f"{error.code}: {error.message}" for error in pool.resize_errors or ()),
        identity=_identity(pool),
        start_task=(pool.start_task.command_line or "") if pool.start_task else "",
    )


def _minutes(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() / 60 if since else 0.0


def _identity(pool: BatchPool) -> str:
    kind = state_word(pool.identity.type) if pool.identity else ""
    return "" if kind.lower() == "none" else kind


async def _ask(connection: Connection) -> tuple[BatchPool, datetime | None, dict[str, int]]:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    from pipeline.dated_pool import get_dated_pool  # noqa: PLC0415 (as slow)

    client = await connection.batch()
    pool_id = connection.settings.batch.pool_id
    try:
        pool, served = await get_dated_pool(client, pool_id)
    except ResourceNotFoundError as error:
        raise CommandError(
            f"There is no pool {pool_id!r} at {connection.settings.batch.endpoint}",
            code=ExitCode.NOT_FOUND,
            hint="On one machine dispatch makes it (BATCH_POOL_CREATE=true); on Azure the deployment does.",
        ) from error
    return pool, served, await node_counts(connection)


async def node_counts(connection: Connection) -> dict[str, int]:
    """Nodes by state (as nodes themselves name it, lower case), of both kinds; no state without a node. One request."""
    client = await connection.batch()
    pool_id = connection.settings.batch.pool_id
    totals: dict[str, int] = {}
    async for counts in client.list_pool_node_counts(filter=f"poolId eq '{pool_id}'"):
        for kind in (counts.dedicated, counts.low_priority):
            for state, count in (kind.as_dict() if kind else {}).items():
                if state != "total" and count:
                    totals[state.lower()] = totals.get(state.lower(), 0) + count
    return totals
