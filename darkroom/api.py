"""Runs for programs: start one, wait for it, read its results, clean up.

    from darkroom import api

    with api.system() as darkroom:                  # the profile that `darkroom` itself would use
        run = darkroom.start(prefix="batch-7/")     # converts what has no PNG yet; does not wait for events
        result = darkroom.wait(run, seconds=3600)
        for outcome in darkroom.outcomes(run):
            print(outcome.name, outcome.result, outcome.png)
        darkroom.clean_up(run)

A run's id is enough to find it again later, in another process: `darkroom.find(run_id)`. Needs the rights that
docs/cli.md lists for `darkroom run`. Every method raises SettingsError, StorageError or RetryableError of
shared/errors.py and pipeline/storage.py, and CommandError where the function app refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from darkroom.app_door import AppDoor
from darkroom.profile import Profile, current_profile
from darkroom.run import running
from darkroom.run.running import Progress, Run, RunResult
from pipeline.app import App
from pipeline.clients import open_app
from shared.outcome import Outcome

__all__ = ["Outcome", "Progress", "Run", "RunResult", "System", "system"]

_POKE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One Darkroom. Its methods block; each works on the event loop of the `with` block."""

    profile: Profile
    app: App
    _runner: asyncio.Runner

    def start(self, *, prefix: str = "", tasks: int | Literal["auto"] = "auto") -> Run:
        """Starts converting every image under `prefix` that has no current PNG, in this many tasks.

        `auto`: as many as the pool has slots. A run of no images has no manifests and is finished at once.
        """
        wanted = None if tasks == "auto" else tasks
        run = self._runner.run(running.start(self.app, prefix=prefix, tasks=wanted))
        if run.manifests:
            self._runner.run(self._poke())
        return run

    def find(self, run_id: str) -> Run:
        """A run that was started before; with no manifests when nothing is known of it (any more)."""
        return self._runner.run(running.find(self.app, run_id))

    def wait(
        self, run: Run, *, seconds: float | None = None, told: Callable[[Progress], None] = lambda progress: None
    ) -> RunResult:
        """Returns when every image of the run is accounted for, or after `seconds`; `finished` says which."""
        finished = self._runner.run(running.follow(self.app, run, seconds=seconds, poke=self._poke, told=told))
        return self._runner.run(running.result(self.app, run, finished=finished))

    def outcomes(self, run: Run) -> list[Outcome]:
        """What became of each image so far."""
        return self._runner.run(running.outcomes(self.app, run))

    def clean_up(self, run: Run) -> int:
        """Removes the run's outcomes and summaries, not its PNGs; how many blobs that were."""
        return self._runner.run(running.clean_up(self.app, run))

    async def _poke(self) -> None:
        """Dispatch and collect now: by the function app where its key is known, else with one's own rights."""
        door = AppDoor(url=self.profile.functions_url, key=self.profile.functions_key)
        if not door.known:
            await self.app.dispatch()
            await self.app.collect()
            return
        for stage in ("dispatch", "collect"):
            await asyncio.to_thread(door.ask, f"/api/{stage}", method="POST", timeout=_POKE_SECONDS)


@contextmanager
def system(profile: str | None = None) -> Iterator[System]:
    """Opens the system of a profile (a local cloud's folder, a settings file, a name; see darkroom/profile.py)."""
    place = current_profile(profile)
    with asyncio.Runner() as runner:
        opening = open_app(place.values)
        app = runner.run(opening.__aenter__())
        try:
            yield System(profile=place, app=app, _runner=runner)
        finally:
            runner.run(opening.__aexit__(None, None, None))
