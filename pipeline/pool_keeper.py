"""Keeps the pool: makes it where settings say so, looks at it, does what `pool_health.decide` finds to do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.batch import Batch, BatchConflictError, Health, Pool, PoolMissingError
from pipeline.pool_health import (
    BAD_STATES,
    Action,
    DisableAutoscale,
    EnableAutoscale,
    History,
    NodeView,
    PoolView,
    RemoveNodes,
    StopResize,
    Trouble,
    Wanted,
    decide,
)
from pipeline.scaling import build_formula
from shared.app_settings import BatchSettings, PoolSettings

_log = logging.getLogger("darkroom.pool")
Remember = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was seen of the pool and done about it."""

    pool: Pool | None
    nodes: Health
    troubles: tuple[Trouble, ...]
    actions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `state/dispatch.json`."""
        told = {"troubles": [_trouble_json(trouble) for trouble in self.troubles], "actions": list(self.actions)}
        if self.pool is None:
            return {"exists": False, **told}
        pool = self.pool
        code, message = pool.evaluation_error or ("", "")
        return {
            "exists": True,
            "id": pool.id,
            "state": pool.state,
            "allocation_state": pool.allocation_state,
            "vm_size": pool.vm_size,
            "slots": pool.slots,
            "identity": pool.identity,
            "target_dedicated": pool.target_dedicated,
            "target_low_priority": pool.target_low_priority,
            "current_dedicated": pool.current_dedicated,
            "current_low_priority": pool.current_low_priority,
            "nodes": self.nodes.by_state(),
            "autoscale": {
                "enabled": pool.autoscale_enabled,
                "formula": pool.formula,
                "interval": pool.interval,
                "evaluated": pool.evaluated_at.isoformat() if pool.evaluated_at else "",
                "results": pool.evaluation_results,
                "error": {"code": code, "message": message} if pool.evaluation_error else None,
            },
            "resize_errors": [{"code": error, "message": text} for error, text in pool.resize_errors],
            **told,
        }


@dataclass(kw_only=True)
class PoolKeeper:
    """Looks after the one pool."""

    batch: Batch
    pool_settings: PoolSettings
    batch_settings: BatchSettings
    now: Callable[[], datetime]

    async def keep(self, *, memory: Mapping[str, Any], pending: int, remember: Remember) -> Kept:
        """One look, and at most one step. `remember` stores the history before anything is done.

        Raises QuotaReachedError where the pool cannot be made, BatchUnavailableError, BatchRefusedError.
        """
        wanted = Wanted(
            formula=build_formula(self.pool_settings), interval=self.pool_settings.evaluation_interval * 60.0
        )
        pool = await self.batch.pool()
        if pool is None:
            return await self._missing(wanted)
        health = await self.batch.node_counts()
        nodes = await self._doubtful_nodes(health)
        view = _view(pool, nodes, pending)
        # Ages of nodes and evaluations are judged by the clock that dated them, which may be another than this host's.
        now = pool.served or self.now()
        decision = decide(view, wanted, History.from_json(memory), now.timestamp())
        await remember(decision.history.as_json())
        done = [await self._do(action) for action in decision.actions]
        for trouble in decision.troubles:
            level = logging.ERROR if trouble.serious else logging.INFO
            _log.log(level, "event=pool_trouble pool=%s code=%s message=%r", pool.id, trouble.code, trouble.message)
        _log.info(
            "event=pool pool=%s target=%d nodes=%d resize_error=%s",
            pool.id,
            pool.target_nodes,
            pool.current_nodes,
            pool.resize_errors[0][0] if pool.resize_errors else "none",
        )
        return Kept(pool=pool, nodes=health, troubles=decision.troubles, actions=tuple(done))

    async def _missing(self, wanted: Wanted) -> Kept:
        nobody = Health(dedicated={}, low_priority={})
        name = self.batch_settings.pool_id
        if self.batch_settings.pool_create:
            await self.batch.create_pool(wanted.formula, wanted.interval)
            _log.warning("event=pool_created pool=%s", name)
            return Kept(pool=await self.batch.pool(), nodes=nobody, troubles=(), actions=("created the pool",))
        trouble = Trouble(
            code="pool-missing",
            message=f"Pool {name!r} does not exist: tasks wait. Deploy it (BATCH_POOL_ID names it).",
            serious=True,
        )
        _log.error("event=pool_trouble pool=%s code=%s message=%r", name, trouble.code, trouble.message)
        return Kept(pool=None, nodes=nobody, troubles=(trouble,), actions=())

    async def _doubtful_nodes(self, health: Health) -> tuple[NodeView, ...]:
        """The nodes one by one, only where the counts say that some may do no work."""
        if not health.total(*BAD_STATES, "preempted"):
            return ()
        try:
            return tuple(await self.batch.nodes())
        except PoolMissingError:
            return ()

    async def _do(self, action: Action) -> str:
        _log.warning("event=pool_action action=%s why=%r", type(action).__name__, action.why)
        try:
            match action:
                case EnableAutoscale():
                    await self.batch.enable_autoscale(action.formula, action.interval)
                case DisableAutoscale():
                    await self.batch.disable_autoscale()
                case StopResize():
                    await self.batch.stop_resize()
                case RemoveNodes():
                    await self.batch.remove_nodes(action.node_ids)
        except (BatchConflictError, PoolMissingError) as error:
            _log.warning("event=pool_action_put_off action=%s error=%r", type(action).__name__, str(error))
            return f"{type(action).__name__}: put off ({error})"
        return f"{type(action).__name__}: {action.why}"


def _view(pool: Pool, nodes: tuple[NodeView, ...], pending: int) -> PoolView:
    return PoolView(
        allocation_state=pool.allocation_state,
        autoscale_enabled=pool.autoscale_enabled,
        formula=pool.formula,
        interval=pool.interval,
        evaluated_at=pool.evaluated_at.timestamp() if pool.evaluated_at else None,
        evaluation_error=pool.evaluation_error,
        resize_errors=pool.resize_errors,
        target_nodes=pool.target_nodes,
        current_nodes=pool.current_nodes,
        pending_tasks=pending,
        nodes=nodes,
    )


def _trouble_json(trouble: Trouble) -> dict[str, Any]:
    return {"code": trouble.code, "message": trouble.message, "serious": trouble.serious}
