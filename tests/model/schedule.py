"""One schedule of a few actors that share a world, decided at the points where they touch it.

A state is the world's content plus what each actor has asked and been answered so far: between two points an actor is
deterministic, so equal histories mean equal actors.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from tests.model.loop import StillLoop

T = TypeVar("T")
_ACTOR: contextvars.ContextVar[str] = contextvars.ContextVar("actor")


class Fate(StrEnum):
    """What becomes of an operation that an actor has asked for."""

    ANSWERED = "answered"
    REFUSED = "refused"  # it has no effect and the actor is told so (a 503)
    LOST = "lost"  # it takes effect, and the actor gets an error instead of the answer
    CRASH_BEFORE = "crash-before"  # the actor dies, the operation never arrives
    CRASH_AFTER = "crash-after"  # the operation takes effect, the actor is dead already
    TIME_PASSES = "time-passes"  # no operation: the clock moves to the next timer


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One decision of a schedule: which waiting operation is next (the n-th of this actor), and its fate."""

    actor: str
    index: int
    fate: Fate
    label: str


class Crashed(BaseException):
    """Unwinds what is left of an actor when a run is over; nothing of it reaches the world."""


class World(Protocol):
    """What the actors share."""

    def snapshot(self) -> Hashable:
        """Equal for equal content."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A fresh world, its actors, and what must hold. Made anew for each schedule."""

    world: World
    actors: Mapping[str, Callable[[], Awaitable[object]]]
    always: Callable[[], None]
    """Raises AssertionError when something is wrong that must hold after every step."""
    settle: Callable[[], Awaitable[object]]
    """Runs alone after all actors have ended or died: those who come later and tidy up."""
    finally_: Callable[[], None]
    """Raises AssertionError when something is wrong at the very end."""
    unordered: frozenset[str] = frozenset()
    """Actors whose next step depends on which answers they have, not on the order in which parallel ones came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much may go wrong in one schedule."""

    crashes: int = 0
    losses: int = 0
    refusals: int = 0
    early_timers: int = 0
    """Times that the clock may run ahead of operations that are waiting."""
    switches: int | None = None
    """Times that an actor may be left while it could go on; None: any number."""


@dataclass
class _Waiting:
    actor: str
    label: str
    operation: Callable[[], Any]
    future: asyncio.Future[Any]


@dataclass
class Stage:
    """One run of a scenario. The world's operations go through `act`."""

    lost_error: Callable[[str], Exception]
    refused_error: Callable[[str], Exception]
    loop: StillLoop = field(default_factory=StillLoop)
    waiting: list[_Waiting] = field(default_factory=list)
    history: dict[str, list[Hashable]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    free_run: bool = False
    over: bool = False

    async def act(self, label: str, operation: Callable[[], T]) -> T:
        """An actor asks for an operation on the world: it waits here until the explorer decides."""
        actor = _ACTOR.get("settle")
        if self.over or actor in self.dead:
            raise Crashed
        if self.free_run:
            return operation()
        future: asyncio.Future[T] = self.loop.create_future()
        self.waiting.append(_Waiting(actor, label, operation, future))
        return await future


@dataclass
class Run:
    """One schedule of a scenario, decided step by step."""

    scenario: Scenario
    stage: Stage
    budget: Budget
    path: tuple[Step, ...] = ()
    used: dict[Fate, int] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[object]] = field(default_factory=dict)
    switches: int = 0
    last_actor: str = ""

    def start(self) -> None:
        """Lets every actor run to its first operation."""
        for name, actor in self.scenario.actors.items():
            context = contextvars.copy_context()
            context.run(_ACTOR.set, name)
            self.stage.history[name] = []
            self.tasks[name] = self.stage.loop.create_task(_as_coroutine(actor), name=name, context=context)
        self._run_ready()

    def choices(self) -> list[Step]:
        """What can happen next; nothing when all actors are done or dead."""
        steps: list[Step] = []
        for actor, index, waiting in self._by_actor():
            if self._may_run(actor):
                steps += [Step(actor, index, fate, waiting.label) for fate in self._fates()]
        if self.stage.loop.next_timer() is not None and (not steps or self._left(Fate.TIME_PASSES)):
            steps.append(Step("", 0, Fate.TIME_PASSES, "clock"))
        return steps

    def apply(self, step: Step) -> None:
        """Lets it happen, and the actors run to their next operations."""
        self.path = (*self.path, step)
        if step.fate is Fate.TIME_PASSES:
            if self.stage.waiting:
                self._use(step.fate)
            self.stage.loop.advance()
            self.stage.history.setdefault("", []).append(self.stage.loop.time())
            self._run_ready()
            return
        waiting = next(w for actor, index, w in self._by_actor() if (actor, index) == (step.actor, step.index))
        if waiting.label != step.label:
            raise RuntimeError(f"not deterministic: expected {step.label!r}, found {waiting.label!r}")
        self.switches += self._is_switch(step.actor)
        self.last_actor = step.actor
        self.stage.waiting.remove(waiting)
        if step.fate is not Fate.ANSWERED:
            self._use(step.fate)
        self._decide(waiting, step.fate)
        self._run_ready()

    def _decide(self, waiting: _Waiting, fate: Fate) -> None:
        history = self.stage.history[waiting.actor]
        if fate in (Fate.CRASH_BEFORE, Fate.CRASH_AFTER):
            if fate is Fate.CRASH_AFTER:
                _quietly(waiting.operation)
            self.stage.dead.add(waiting.actor)
            self.stage.waiting = [w for w in self.stage.waiting if w.actor != waiting.actor]
            history[:] = ["dead"]
            return
        if fate is Fate.REFUSED:
            error = self.stage.refused_error(waiting.label)
        elif fate is Fate.LOST:
            _quietly(waiting.operation)
            error = self.stage.lost_error(waiting.label)
        else:
            try:
                result = waiting.operation()
            except Exception as raised:  # noqa: BLE001 - the world's answer may be an error, for the actor to handle
                history.append((waiting.label, type(raised).__name__, str(raised)))
                waiting.future.set_exception(raised)
                return
            history.append((waiting.label, repr(result)))
            waiting.future.set_result(result)
            return
        history.append((waiting.label, fate.value))
        waiting.future.set_exception(error)

    def state(self) -> Hashable:
        """Equal for equal worlds and equal actors."""
        waiting = tuple(sorted((w.actor, w.label) for w in self.stage.waiting))
        histories = tuple((name, self._known(name, items)) for name, items in sorted(self.stage.history.items()))
        used = tuple(sorted(self.used.items())), self._bound()
        return hash((self.scenario.world.snapshot(), waiting, histories, used)), len(self.stage.dead)

    def _known(self, name: str, items: list[Hashable]) -> Hashable:
        if name in self.tasks and self.tasks[name].done():
            return "done"
        return frozenset(Counter(items).items()) if name in self.scenario.unordered else tuple(items)

    def end(self) -> None:
        """All actors are done or dead: those who come later run alone, then the last checks."""
        for name, task in self.tasks.items():
            if name not in self.stage.dead and not task.done():
                raise AssertionError(f"{name} waits for something that never comes")
        self.stage.free_run = True
        task = self.stage.loop.create_task(_as_coroutine(self.scenario.settle), name="settle")
        self._run_ready()
        while not task.done() and self.stage.loop.advance():
            self._run_ready()
        if not task.done():
            raise AssertionError("settling waits for something that never comes")
        task.result()
        self.scenario.finally_()

    def close(self) -> None:
        """Unwinds what still waits, without any effect on the world."""
        self.stage.over = True
        for _ in range(50):
            left = [task for task in asyncio.all_tasks(self.stage.loop) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.stage.loop.run_ready()
        for task in self.tasks.values():
            if task.done() and not task.cancelled():
                task.exception()

    def _run_ready(self) -> None:
        self.stage.loop.run_ready()
        for name, task in self.tasks.items():
            if task.done() and name not in self.stage.dead and (error := task.exception()) is not None:
                raise AssertionError(f"{name} failed: {error!r}") from error

    def _by_actor(self) -> Iterator[tuple[str, int, _Waiting]]:
        counts: dict[str, int] = {}
        for waiting in self.stage.waiting:
            index = counts.get(waiting.actor, 0)
            counts[waiting.actor] = index + 1
            yield waiting.actor, index, waiting

    def _fates(self) -> list[Fate]:
        fates = [Fate.ANSWERED]
        fates += [fate for fate in (Fate.REFUSED, Fate.LOST) if self._left(fate)]
        if self._left(Fate.CRASH_BEFORE):
            fates += [Fate.CRASH_BEFORE, Fate.CRASH_AFTER]
        return fates

    def _is_switch(self, actor: str) -> bool:
        return actor != self.last_actor and any(w.actor == self.last_actor for w in self.stage.waiting)

    def _may_run(self, actor: str) -> bool:
        return self.budget.switches is None or self.switches + self._is_switch(actor) <= self.budget.switches

    def _bound(self) -> Hashable:
        """Where switches are counted, who ran last and how often is part of the state."""
        return None if self.budget.switches is None else (self.last_actor, self.switches)

    def _left(self, fate: Fate) -> bool:
        return self.used.get(_purse(fate), 0) < {
            Fate.CRASH_BEFORE: self.budget.crashes,
            Fate.LOST: self.budget.losses,
            Fate.REFUSED: self.budget.refusals,
            Fate.TIME_PASSES: self.budget.early_timers,
        }.get(_purse(fate), 0)

    def _use(self, fate: Fate) -> None:
        self.used[_purse(fate)] = self.used.get(_purse(fate), 0) + 1


def _purse(fate: Fate) -> Fate:
    return Fate.CRASH_BEFORE if fate is Fate.CRASH_AFTER else fate


def _quietly(operation: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # the world refused it, and nobody is there to hear
        operation()


async def _as_coroutine(actor: Callable[[], Awaitable[object]]) -> object:
    return await actor()
