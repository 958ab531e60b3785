"""Why the pool does not do the work that is there. `judge_pool` is pure; `probe_pool` asks Batch and then judges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from darkroom.connection import Connection
from darkroom.failure import CommandError, ExitCode
from darkroom.pool.view import PoolView, view_pool
from darkroom.state_word import state_word
from darkroom.why.finding import Code, Finding, Weight
from pipeline.scaling import build_formula
from shared.app_settings import AppSettings, PoolSettings

STUCK_MINUTES = 20.0
"""A resize takes Azure a few minutes; one that takes longer than this is stuck."""

_QUOTA = ("quota",)
_BOOTING = {"creating", "starting", "waitingforstarttask", "rebooting", "reimaging"}
_BUSY = {"idle", "running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The tasks of the open jobs."""

    active: int
    running: int

    @property
    def all(self) -> int:
        return self.active + self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class BadNode:
    """A node that does no work, with what it says of it."""

    id: str
    state: str
    errors: tuple[str, ...]
    last_lines: tuple[str, ...]


def judge_pool(
    pool: PoolView,
    pending: Pending,
    settings: PoolSettings,
    bad: Iterable[BadNode],
    *,
    needs_identity: bool,
) -> list[Finding]:
    """What keeps the pool from its work. With nothing pending, only what would keep it later."""
    findings = _allocation(pool) + _formula(pool, settings, pending) + _bad_nodes(bad, pool)
    if needs_identity and not pool.identity:
        findings.append(
            Finding(
                code=Code.POOL_WITHOUT_IDENTITY,
                weight=Weight.BLOCKED,
                what=f"Pool {pool.id} has no managed identity, so its nodes cannot read images or write PNGs.",
                advice="An identity is given when a pool is made: "
                f"az batch pool delete --pool-id {pool.id}, then azd provision.",
            )
        )
    if pending.all:
        findings += _slots(pool, pending, settings)
    return findings


def _allocation(pool: PoolView) -> list[Finding]:
    findings = []
    for error in pool.resize_errors:
        quota = any(word in error.lower() for word in _QUOTA)
        findings.append(
            Finding(
                code=Code.QUOTA if quota else Code.RESIZE_ERROR,
                weight=Weight.BLOCKED,
                what=f"Pool {pool.id} wants {pool.target_low_priority} Spot and {pool.target_dedicated} dedicated "
                f"node(s), has {pool.current_low_priority} and {pool.current_dedicated}, and Azure gives no more.",
                advice="Ask for more cores of this VM family (Batch account > Quotas), or lower POOL_MAX_NODES."
                if quota
                else "Often short of Spot capacity: wait, take another POOL_VM_SIZE or region, or set POOL_SPILL_OVER.",
                evidence=(error,),
            )
        )
    if pool.allocation == "resizing" and pool.allocation_minutes > STUCK_MINUTES:
        findings.append(
            Finding(
                code=Code.RESIZE_STUCK,
                weight=Weight.BLOCKED,
                what=f"Pool {pool.id} has been resizing for {pool.allocation_minutes:.0f} minutes.",
                advice=f"darkroom pool pause, then darkroom pool resume; {_anew(pool)} if that does not help.",
            )
        )
    return findings


def _formula(pool: PoolView, settings: PoolSettings, pending: Pending) -> list[Finding]:
    if not pool.autoscale:
        return [
            Finding(
                code=Code.FORMULA_OFF,
                weight=Weight.BLOCKED if pending.all and not sum(pool.nodes.values()) else Weight.NOTE,
                what=f"Pool {pool.id} is held by hand at {pool.target_low_priority} Spot and "
                f"{pool.target_dedicated} dedicated node(s): its formula is off.",
                advice="darkroom pool resume turns the formula on.",
            )
        ]
    findings = []
    if pool.evaluation_error:
        findings.append(
            Finding(
                code=Code.FORMULA_ERROR,
                weight=Weight.BLOCKED,
                what=f"The autoscale formula of pool {pool.id} fails, so the pool keeps the size it has.",
                advice="darkroom formula lint finds faults; darkroom pool resume puts the settings' formula back.",
                evidence=(pool.evaluation_error, f"evaluated {pool.evaluated}"),
            )
        )
    if pool.formula.strip() != build_formula(settings).strip():
        findings.append(
            Finding(
                code=Code.FORMULA_STALE,
                weight=Weight.NOTE,
                what=f"The formula of pool {pool.id} is not the one that these settings give.",
                advice="The next dispatch brings it in step (or this profile has other settings than the app).",
            )
        )
    return findings


def _anew(pool: PoolView) -> str:
    """How a pool is made anew: the data plane cannot give it an identity, only a deployment can."""
    if pool.identity:
        return f"az batch pool delete --pool-id {pool.id} and azd provision"
    return "darkroom pool recreate"


def _bad_nodes(bad: Iterable[BadNode], pool: PoolView) -> list[Finding]:
    nodes = list(bad)
    findings = []
    failed = [node for node in nodes if node.state.lower() == "starttaskfailed"]
    if failed:
        one = failed[0]
        findings.append(
            Finding(
                code=Code.START_TASK_FAILED,
                weight=Weight.BLOCKED,
                what=f"The start task failed on {len(failed)} node(s); they take no work.",
                advice=f"Mend the start task (or the package it installs), then {_anew(pool)}.",
                evidence=(f"node {one.id}", *one.errors, *one.last_lines),
            )
        )
    unusable = [node for node in nodes if node.state.lower() == "unusable"]
    if unusable:
        findings.append(
            Finding(
                code=Code.NODES_UNUSABLE,
                weight=Weight.SLOWED,
                what=f"{len(unusable)} node(s) are unusable: Batch cannot reach or set them up.",
                advice="Dispatch removes them after ten minutes. Where each new node ends so, look at the pool's "
                f"network and image; then {_anew(pool)}.",
                evidence=tuple(line for node in unusable[:3] for line in (f"node {node.id}", *node.errors)),
            )
        )
    offline = [node for node in nodes if node.state.lower() == "offline"]
    if offline:
        findings.append(
            Finding(
                code=Code.NODES_OFFLINE,
                weight=Weight.SLOWED,
                what=f"{len(offline)} node(s) are offline: somebody disabled scheduling on them.",
                advice=f"az batch node scheduling enable --pool-id {pool.id} --node-id {offline[0].id}",
                evidence=tuple(f"node {node.id}" for node in offline[:3]),
            )
        )
    return findings


def _slots(pool: PoolView, pending: Pending, settings: PoolSettings) -> list[Finding]:
    count = pool.nodes
    busy = sum(count.get(state, 0) for state in _BUSY)
    booting = sum(count.get(state, 0) for state in _BOOTING)
    findings = []
    if count.get("preempted"):
        findings.append(
            Finding(
                code=Code.PREEMPTED,
                weight=Weight.SLOWED if busy else Weight.BLOCKED,
                what=f"{count['preempted']} Spot node(s) were preempted; their tasks wait again, nothing is lost.",
                advice="Azure brings nodes back when it has room; POOL_SPILL_OVER uses dedicated ones then.",
            )
        )
    if busy:
        slots = busy * max(1, pool.slots_per_node)
        if pending.active and pending.running >= slots:
            full = sum(pool.nodes.values()) >= settings.max_nodes
            findings.append(
                Finding(
                    code=Code.NO_SLOTS,
                    weight=Weight.SLOWED,
                    what=f"All {slots} slot(s) of {busy} node(s) are taken; {pending.active} task(s) wait.",
                    advice="The pool is at its cap: raise POOL_MAX_NODES to go faster."
                    if full
                    else "The pool grows at the formula's next evaluation.",
                )
            )
    elif booting:
        findings.append(
            Finding(
                code=Code.NODES_STARTING,
                weight=Weight.SLOWED,
                what=f"{booting} node(s) are starting; that takes minutes on Azure.",
                advice="",
            )
        )
    elif pool.autoscale and not count.get("preempted"):
        evaluated = f"last evaluated {pool.evaluated}" if pool.evaluated else "never evaluated yet"
        findings.append(
            Finding(
                code=Code.NO_NODES,
                weight=Weight.SLOWED,
                what=f"{pending.all} task(s) wait, and the pool has no node that works.",
                advice=f"The formula asks for nodes every {pool.interval_minutes:g} minutes, once it has samples.",
                evidence=(evaluated, *([pool.evaluation] if pool.evaluation else [])),
            )
        )
    return findings


async def probe_pool(connection: Connection, pending: Pending) -> list[Finding]:
    """Asks Batch for the pool, its counts and, where some do no work, those nodes."""
    try:
        pool = await view_pool(connection)
    except CommandError as error:
        if error.code is not ExitCode.NOT_FOUND:
            raise
        return [
            Finding(
                code=Code.POOL_MISSING,
                weight=Weight.BLOCKED if not connection.settings.batch.pool_create or pending.all else Weight.NOTE,
                what=f"{error}.",
                advice=error.hint,
            )
        ]
    bad = await _ask_bad_nodes(connection) if _has_bad(pool) else []
    return judge_pool(
        pool, pending, connection.settings.pool, bad, needs_identity=nodes_need_identity(connection.settings)
    )


def nodes_need_identity(settings: AppSettings) -> bool:
    """Whether nodes reach storage with the pool's identity: wherever no connection string with a key does it."""
    return bool(settings.storage.account_url or settings.batch.worker_identity_client_id)


def _has_bad(pool: PoolView) -> bool:
    return any(state in {"starttaskfailed", "unusable", "offline"} for state in pool.nodes)


async def _ask_bad_nodes(connection: Connection) -> list[BadNode]:
    client = await connection.batch()
    pool_id = connection.settings.batch.pool_id
    found: list[BadNode] = []
    async for node in client.list_nodes(
        pool_id, filter="state eq 'starttaskfailed' or state eq 'unusable' or state eq 'offline'"
    ):
        state = state_word(node.state)
        errors = [f"{error.code}: {error.message}" for error in node.errors or ()]
        info = node.start_task_info
        if info and info.failure_info:
            errors.append(f"{info.failure_info.code}: {info.failure_info.message} (exit code {info.exit_code})")
        lines: tuple[str, ...] = ()
        if state.lower() == "starttaskfailed" and not found:
            lines = await _last_lines(connection, node.id or "")
        found.append(BadNode(id=node.id or "", state=state, errors=tuple(errors), last_lines=lines))
        if len(found) >= 50:
            break
    return found


async def _last_lines(connection: Connection, node: str) -> tuple[str, ...]:
    """The end of the start task's stderr. https://learn.microsoft.com/azure/batch/files-and-directories"""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 (slow to load)

    client = await connection.batch()
    try:
        stream = await client.download_node_file(connection.settings.batch.pool_id, node, "startup/stderr.txt")
        data = b"".join([chunk async for chunk in stream])
    except HttpResponseError as error:
        return (f"its stderr is not to be had ({error.status_code})",)
    return tuple(data[-4096:].decode("utf-8", "replace").splitlines()[-8:])
