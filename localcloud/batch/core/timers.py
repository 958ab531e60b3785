"""Timers of a virtual clock: a heap, with lazy cancellation."""

import heapq
from collections.abc import Callable
from typing import Any


class Timer:
    """A call that is due at `when`. `cancel()` makes it a no-op."""

    __slots__ = ("_action", "_arguments", "when")

    def __init__(self, when: float, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.when = when
        self._action: Callable[..., None] | None = action
        self._arguments = arguments

    def cancel(self) -> None:
        self._action = None
        self._arguments = ()

    @property
    def live(self) -> bool:
        return self._action is not None

    def fire(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            action(*self._arguments)


class Timers:
    """What is due and when. Timers that are due at the same time fire in the order in which they were set."""

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> Timer:
        timer = Timer(when, action, arguments)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer))
        return timer

    def next_time(self) -> float | None:
        while self._heap and not self._heap[0][2].live:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Timer | None:
        due = self.next_time()
        if due is None or due > now:
            return None
        return heapq.heappop(self._heap)[2]
