"""Keeps one child alive: starts it again when it dies, ever more slowly when it keeps dying."""

import asyncio
from collections.abc import Awaitable, Callable

from localcloud.child import Child, ChildSpec
from localcloud.errors import ChildExitedError
from localcloud.up.console import Console

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0


class Keeper:
    """One supervised child. `came_back` is called after each restart."""

    def __init__(
        self,
        spec: ChildSpec,
        *,
        console: Console,
        came_back: Callable[[], Awaitable[None]],
        started: Callable[[], None],
    ) -> None:
        self.spec = spec
        self._child = Child(spec)
        self._console = console
        self._came_back = came_back
        self._started = started
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int:
        """The present process id."""
        return self._child.pid

    async def start(self) -> str:
        """The first start. Raises ChildExitedError: a child that never ran is not tried again."""
        ready = await self._child.start()
        self._started()
        return ready

    async def keep(self) -> None:
        """Watch and restart until `stop`."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._child.wait()
            if self._stopping.is_set():
                return
            if self._child.age > _HEALTHY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._console.say(
                f"{self.spec.name} died ({self._child.how_ended()}): starting it again in {pause:g} s;"
                f" see {self.spec.log}"
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            if self._stopping.is_set():
                return
            self._child = Child(self.spec)
            try:
                await self._child.start()
            except ChildExitedError as error:
                self._console.say(f"{error}")
                continue
            self._started()
            self._console.say(f"{self.spec.name} runs again")
            try:
                await self._came_back()
            except OSError as error:
                self._console.say(f"{self.spec.name} runs, but does not answer as it should: {error}")

    async def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL; no restart after it."""
        self._stopping.set()
        await self._child.stop(grace_seconds=grace_seconds)
