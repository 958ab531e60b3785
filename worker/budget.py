"""A bound on what is held at once: pixels decoded, bytes fetched."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """At most `limit` units are held at once, first come first served; one larger piece goes when it is alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """Units held now."""
        return self._held

    @asynccontextmanager
    async def hold(self, units: int) -> AsyncIterator[None]:
        """Holds `units` while the block runs; waits until they are free."""
        await self._take(units)
        try:
            yield
        finally:
            self._held -= units
            self._wake()

    async def _take(self, units: int) -> None:
        if not self._waiting and self._fits(units):
            self._held += units
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((units, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._held -= units  # the turn came at the same moment: pass it on
            else:
                self._waiting.remove((units, turn))
            self._wake()
            raise

    def _fits(self, units: int) -> bool:
        return self._held == 0 or self._held + units <= self._limit

    def _wake(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            units, turn = self._waiting.popleft()
            self._held += units
            turn.set_result(None)
