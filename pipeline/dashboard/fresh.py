"""Answers that are young enough are given again: many open pages cost as much as one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(kw_only=True)
class Fresh(Generic[T]):
    """A bounded memory of answers by key. Who asks while an answer is being made waits for that one."""

    seconds: float
    clock: Callable[[], float]
    most: int = 16
    """Keys remembered."""
    _known: OrderedDict[Hashable, tuple[float, T]] = field(default_factory=OrderedDict)
    _locks: dict[Hashable, asyncio.Lock] = field(default_factory=dict)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer for `key`, made now if it is too old. An error is not remembered."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._known.get(key)
            if known is not None and self.clock() - known[0] < self.seconds:
                return known[1]
            answer = await make()
            self._known[key] = (self.clock(), answer)
            self._known.move_to_end(key)
            while len(self._known) > self.most:
                gone, _ = self._known.popitem(last=False)
                self._locks.pop(gone, None)
            return answer

    def forget(self) -> None:
        """Something was changed: the next who asks gets a new answer."""
        self._known.clear()
