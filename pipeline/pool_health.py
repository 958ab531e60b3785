"""Is the pool well, and what is to be done: pure decisions over what dispatch sees of it.

`decide(view, wanted, history, now)` gives actions and a new history. The caller stores the history *before* it acts,
acts, and asks again at the next dispatch: every action may be done twice, and a crash between two of them leaves a
healing that the next dispatch goes on with.

A pool is stuck where Batch does not get it unstuck: nodes that failed at start or are unusable fill its targets, an
allocation error blocks it for long while tasks wait, or autoscale is not evaluated any more. The cure that users of
Batch know (disable autoscale, remove the bad nodes, enable it again; microsoft/ga4gh-tes#409) is tried `MAX_HEALINGS`
times in `HEALING_WINDOW`, then only told. A quota is never healed by it. A pool whose autoscale was disabled by a
person is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

MINUTE = 60.0
BAD_NODE_AFTER = 10 * MINUTE
"""A node may recover by itself (a reboot): so long it is only watched."""
PREEMPTED_AFTER = 60 * MINUTE
SHORT_AFTER = 30 * MINUTE
STALE_AFTER = 30 * MINUTE
"""Added to three evaluation intervals."""
STEP_PATIENCE = 10 * MINUTE
"""A resize that is still going on after this in a healing is stopped."""
MAX_HEALINGS = 3
HEALING_WINDOW = 6 * 60 * MINUTE
MAX_REMOVED = 100
"""Batch removes at most so many nodes a request."""

BAD_STATES = frozenset({"unusable", "starttaskfailed", "unknown"})
_QUOTAS = ("QuotaReached",)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node: its id, its state in Batch's words (lower case), and since when (seconds since 1970)."""

    id: str
    state: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """What one look at the pool showed. Times are seconds since 1970."""

    allocation_state: str
    """`steady`, `resizing` or `stopping`."""
    autoscale_enabled: bool
    formula: str = ""
    interval: float = 0.0
    """Seconds between evaluations; 0 where it is not known."""
    evaluated_at: float | None = None
    evaluation_error: tuple[str, str] | None = None
    """Code and message of `autoScaleRun.error`."""
    resize_errors: tuple[tuple[str, str], ...] = ()
    target_nodes: int = 0
    current_nodes: int = 0
    pending_tasks: int = 0
    nodes: tuple[NodeView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The formula that settings ask for, and its evaluation interval in seconds."""

    formula: str
    interval: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has to be remembered from one dispatch to the next."""

    healings: tuple[float, ...] = ()
    """When the last healings began."""
    healing_since: float | None = None
    short_since: float | None = None
    """Since when nodes are missing, with an allocation error and tasks that wait."""
    enabled_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "healings": list(self.healings),
            "healing_since": self.healing_since,
            "short_since": self.short_since,
            "enabled_at": self.enabled_at,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> History:
        """The history of a state document; what is missing was never."""
        return cls(
            healings=tuple(float(at) for at in value.get("healings") or ()),
            healing_since=_maybe(value.get("healing_since")),
            short_since=_maybe(value.get("short_since")),
            enabled_at=_maybe(value.get("enabled_at")),
        )


def _maybe(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableAutoscale:
    """Set formula and interval: also how a formula is replaced on a pool whose autoscale is enabled."""

    formula: str
    interval: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableAutoscale:
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopResize:
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNodes:
    """Remove these nodes (at most `MAX_REMOVED`); running tasks are requeued."""

    node_ids: tuple[str, ...]
    why: str


Action = EnableAutoscale | DisableAutoscale | StopResize | RemoveNodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something for the log and for status. `code` is one word; `serious` asks for a person's eye."""

    code: str
    message: str
    serious: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Store `history`, log `troubles`, then do `actions` in order."""

    actions: tuple[Action, ...]
    troubles: tuple[Trouble, ...]
    history: History


def same_formula(one: str, other: str) -> bool:
    """Whether two formulas are the same text; line ends and space at the end of lines do not count."""
    return _lines(one) == _lines(other)


def _lines(formula: str) -> list[str]:
    return [line.rstrip() for line in formula.strip().splitlines()]


def decide(view: PoolView, wanted: Wanted, history: History, now: float) -> Decision:
    """What to do about the pool now, in at most one step of a healing."""
    history = _remember(view, history, now)
    troubles = list(_troubles(view, now))
    if history.healing_since is not None:
        return _go_on(view, wanted, history, troubles, now)
    if not view.autoscale_enabled:
        troubles.append(
            Trouble(code="autoscale-off", message="Autoscale was disabled by a person; it is left so.", serious=False)
        )
        return Decision(actions=(), troubles=tuple(troubles), history=history)
    reason = _stuck(view, wanted, history, now)
    if reason:
        return _begin(reason, history, troubles, now)
    return Decision(actions=_in_step(view, wanted), troubles=tuple(troubles), history=history)


def _remember(view: PoolView, history: History, now: float) -> History:
    """Bring what is remembered up to date with what is seen."""
    short = bool(view.resize_errors) and view.current_nodes < view.target_nodes and view.pending_tasks > 0
    since = (history.short_since if history.short_since is not None else now) if short else None
    recent = tuple(at for at in history.healings if now - at < HEALING_WINDOW)
    return replace(history, short_since=since, healings=recent)


def _in_step(view: PoolView, wanted: Wanted) -> tuple[Action, ...]:
    """Put the formula and its interval back where they differ from the settings."""
    if not same_formula(view.formula, wanted.formula):
        return (EnableAutoscale(formula=wanted.formula, interval=wanted.interval, why="formula differs from settings"),)
    if view.interval and view.interval != wanted.interval:
        return (
            EnableAutoscale(formula=wanted.formula, interval=wanted.interval, why="interval differs from settings"),
        )
    return ()


# --- what is wrong ---


def _troubles(view: PoolView, now: float) -> Sequence[Trouble]:
    troubles = []
    if view.evaluation_error is not None:
        code, message = view.evaluation_error
        troubles.append(
            Trouble(
                code="formula-error",
                message=f"{code}: {message}. The pool keeps its size.",
                serious=code != "InsufficientSampleData",  # passes by itself: samples of a new pool, a gap
            )
        )
    for code, message in view.resize_errors:
        troubles.append(Trouble(code="resize-error", message=f"{code}: {message}", serious=_is_quota(code)))
    bad = bad_nodes(view, now)
    if bad:
        states = ", ".join(sorted({node.state for node in bad}))
        troubles.append(Trouble(code="bad-nodes", message=f"{len(bad)} nodes do no work: {states}", serious=True))
    return troubles


def _is_quota(code: str) -> bool:
    return code.endswith(_QUOTAS)


def bad_nodes(view: PoolView, now: float) -> tuple[NodeView, ...]:
    """Nodes that fill the targets and do no work, for longer than they may."""
    bad = [node for node in view.nodes if node.state in BAD_STATES and now - node.since >= BAD_NODE_AFTER]
    if view.pending_tasks > 0:
        bad += [node for node in view.nodes if node.state == "preempted" and now - node.since >= PREEMPTED_AFTER]
    return tuple(bad)


def _stuck(view: PoolView, wanted: Wanted, history: History, now: float) -> str:
    """Why the pool does not get on by itself; empty: it does."""
    if bad_nodes(view, now):
        return "nodes that do no work fill the pool"
    if history.short_since is not None and now - history.short_since >= SHORT_AFTER:
        if all(_is_quota(code) for code, _ in view.resize_errors):
            return ""
        return "an allocation error blocks the pool while tasks wait"
    last = max((at for at in (view.evaluated_at, history.enabled_at) if at is not None), default=None)
    if last is not None and now - last >= 3 * (view.interval or wanted.interval) + STALE_AFTER:
        return "autoscale is not evaluated any more"
    return ""


# --- healing ---


def _begin(reason: str, history: History, troubles: list[Trouble], now: float) -> Decision:
    if len(history.healings) >= MAX_HEALINGS:
        message = f"The pool is stuck ({reason}) and {MAX_HEALINGS} healings did not help; a person has to look at it."
        troubles.append(Trouble(code="stuck", message=message, serious=True))
        return Decision(actions=(), troubles=tuple(troubles), history=history)
    troubles.append(Trouble(code="healing", message=f"Healing the pool: {reason}.", serious=False))
    history = replace(history, healing_since=now, healings=(*history.healings, now))
    return Decision(actions=(DisableAutoscale(why=reason),), troubles=tuple(troubles), history=history)


def _go_on(view: PoolView, wanted: Wanted, history: History, troubles: list[Trouble], now: float) -> Decision:
    """The next step of a healing: disabled → at rest → bad nodes removed → enabled."""
    since = history.healing_since if history.healing_since is not None else now
    actions: tuple[Action, ...] = ()
    if view.autoscale_enabled and same_formula(view.formula, wanted.formula) and _enabled_since(history, since):
        history = replace(history, healing_since=None, short_since=None)
        troubles.append(Trouble(code="healed", message="Autoscale is enabled again.", serious=False))
    elif view.autoscale_enabled and not _enabled_since(history, since):
        actions = (DisableAutoscale(why="healing"),)
    elif view.allocation_state != "steady":
        if view.allocation_state == "resizing" and now - since >= STEP_PATIENCE:
            actions = (StopResize(why="healing: the resize does not end"),)
    elif bad := bad_nodes(view, now):
        ids = tuple(node.id for node in bad[:MAX_REMOVED])
        actions = (RemoveNodes(node_ids=ids, why="healing: they do no work"),)
    else:
        actions = (EnableAutoscale(formula=wanted.formula, interval=wanted.interval, why="healing: the last step"),)
        history = replace(history, enabled_at=now)
    return Decision(actions=actions, troubles=tuple(troubles), history=history)


def _enabled_since(history: History, since: float) -> bool:
    return history.enabled_at is not None and history.enabled_at >= since
