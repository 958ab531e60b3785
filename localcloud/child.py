"""One child process: started in a session of its own, its output in a log file, stopped with SIGTERM.

The child writes straight into its log file, so nothing it says is lost when the parent dies, and the parent
spends nothing on copying. Readiness is a line in that log.
"""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import ChildExitedError
from localcloud.leash import end_with_parent

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to start. `ready` is searched in the child's output; its first group is what `start` returns."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ready: re.Pattern[str]
    ready_seconds: float = 60.0


class Child:
    """A running (or ended) child process."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0
        self._started = 0.0

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    async def start(self) -> str:
        """Start and wait for the ready line. Raises ChildExitedError when it ends or stays silent instead."""
        self._log_start = self.spec.log.stat().st_size if self.spec.log.exists() else 0
        self._started = time.monotonic()
        with self.spec.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.PIPE,  # held open, never written: its end tells the child that we are gone
                stdout=log,
                stderr=log,
                env=dict(self.spec.environment),
                cwd=self.spec.folder,
                start_new_session=True,  # a Ctrl-C at the terminal reaches us alone; we stop children in order
                preexec_fn=end_with_parent,  # one prctl call: no lock is taken in the child
            )
        try:
            return await self._wait_until_ready()
        except BaseException:
            await self.stop(grace_seconds=1.0)
            raise

    async def _wait_until_ready(self) -> str:
        while True:
            ended = self._process is None or self._process.returncode is not None
            if found := self.spec.ready.search(self.output()):
                return found.group(1)
            if ended:
                raise ChildExitedError(f"{self.spec.name} ended at its start: {self.last_words()}")
            if self.age > self.spec.ready_seconds:
                raise ChildExitedError(
                    f"{self.spec.name} was not ready after {self.spec.ready_seconds:g} s; see {self.spec.log}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    def output(self) -> str:
        """All that this child has written since its start."""
        with self.spec.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def last_words(self) -> str:
        """The last line it wrote, or where to look."""
        lines = [line.strip() for line in self.output().splitlines() if line.strip()]
        return lines[-1][:500] if lines else f"it wrote nothing ({self.how_ended()})"

    def how_ended(self) -> str:
        """`exit code 1`, `SIGKILL`, or `running`."""
        code = self._process.returncode if self._process else None
        if code is None:
            return "running"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    async def wait(self) -> None:
        """Return when the process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL to its whole session after `grace_seconds`. Nothing if it has ended already."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # also what the child itself left behind
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
