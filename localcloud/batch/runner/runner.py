"""Carries out what the core asks for: launches, stops, removals of files."""

import asyncio
import logging
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from localcloud.batch import layout
from localcloud.batch.core.effects import Effect, Exit, Failure, Launch, NodeGone, Stop, WorkGone
from localcloud.batch.core.entities import Node, Run
from localcloud.batch.runner.environment import Place, node_environment, place_of, run_environment
from localcloud.batch.runner.processes import Ended, Launching, Processes
from localcloud.batch.runner.transfers import TransferError, Transfers

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all nodes of an account share. `grace`: wall seconds between SIGTERM and SIGKILL; `image`: environment."""

    account: str
    endpoint: str
    directory: Path
    image: Mapping[str, str] = field(default_factory=dict)
    grace: float = 5.0


class Runner:
    """Answers each launch with one call of `ended(run_id, exit)`, on the event loop."""

    def __init__(self, site: Site, *, transfers: Transfers, ended: Callable[[int, Exit], None]) -> None:
        self._site = site
        self._transfers = transfers
        self._ended = ended
        self._processes = Processes(self._process_ended)
        self._places: dict[int, Place] = {}
        self._stopped: set[int] = set()
        self._shared: dict[str, dict[str, str]] = {}
        self._transferring: dict[int, asyncio.Task[None]] = {}
        self._cleaning: set[asyncio.Task[None]] = set()

    def node_root(self, pool_id: str, node_id: str) -> Path:
        return self._site.directory / "nodes" / pool_id.lower() / node_id

    def carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Launch(run):
                    self._launch(run)
                case Stop(run_id):
                    self._stop(run_id)
                case NodeGone(pool_id, node_id, _):
                    self._clean(self.node_root(pool_id, node_id))
                case WorkGone():
                    self._clean(self._work_path(effect))

    def _work_path(self, gone: WorkGone) -> Path:
        root = self.node_root(gone.pool_id, gone.node_id)
        if gone.task_id is None:
            return root / layout.job_directory(gone.job_id)
        return root / layout.task_directory(gone.job_id, gone.task_id)

    # --- launching ---

    def _launch(self, run: Run) -> None:
        root = str(self.node_root(run.node.pool.id, run.node.id))
        place = place_of(run, root)
        if place is None:
            _defer(self._ended, run.id, _failed("CommandLaunchFailed", "The command is not defined any more"))
            return
        self._places[run.id] = place
        try:
            argv = _words(place.command.command_line)
        except ValueError as error:
            self._finish(run.id, _failed("CommandLaunchFailed", f"The command line cannot be split: {error}"))
            return
        if not argv:
            self._finish(run.id, _failed("CommandProgramNotFound", "The command line is empty"))
            return
        launching = Launching(
            node=run.node.id,
            shared=self._shared_environment(run.node, root),
            argv=argv,
            directory=place.directory,
            working=place.working,
            environment=run_environment(run, place, self._site.image),
        )
        if place.command.resource_files:
            work = self._download_and_start(run.id, place, launching)
            self._transferring[run.id] = asyncio.get_running_loop().create_task(work)
        else:
            self._processes.start(run.id, launching)

    def _shared_environment(self, node: Node, root: str) -> dict[str, str]:
        """Of a node, made once; its shared directory is made with it."""
        found = self._shared.get(node.id)
        if found is None:
            site = self._site
            found = node_environment(node, root, account=site.account, endpoint=site.endpoint, image=site.image)
            self._shared[node.id] = found
            Path(root, layout.SHARED).mkdir(parents=True, exist_ok=True)
        return found

    async def _download_and_start(self, run_id: int, place: Place, launching: Launching) -> None:
        try:
            for resource in place.command.resource_files:
                await self._transfers.download(resource, Path(place.working))
        except TransferError as error:
            self._transferring.pop(run_id, None)
            self._finish(run_id, Exit(code=None, failure=error.failure, stage="preprocessing"))
            return
        except asyncio.CancelledError:
            self._transferring.pop(run_id, None)
            self._finish(run_id, Exit(code=None))
            return
        self._transferring.pop(run_id, None)
        self._processes.start(run_id, launching)

    def _stop(self, run_id: int) -> None:
        self._stopped.add(run_id)
        transferring = self._transferring.get(run_id)
        if transferring is not None:
            transferring.cancel()
        else:
            self._processes.stop(run_id, self._site.grace)

    # --- ends ---

    def _process_ended(self, run_id: int, end: Ended) -> None:
        place = self._places.get(run_id)
        match end.error:
            case "notfound":
                result = _failed("CommandProgramNotFound", end.text)
            case "failed":
                result = _failed("CommandLaunchFailed", end.text)
            case "lost":
                result = Exit(code=None, stage="lost")
            case _:
                result = Exit(code=end.code)
        wanted = self._uploads(place, end.code) if place is not None and run_id not in self._stopped else ()
        if result.stage == "lost":
            wanted = ()
        if place is None or not wanted:
            self._forget(run_id)
            self._ended(run_id, result)
            return
        work = self._upload_and_finish(run_id, place, result)
        self._transferring[run_id] = asyncio.get_running_loop().create_task(work)

    @staticmethod
    def _uploads(place: Place, code: int | None) -> tuple[object, ...]:
        return tuple(f for f in place.command.output_files if _wanted(f.condition, code))

    async def _upload_and_finish(self, run_id: int, place: Place, result: Exit) -> None:
        try:
            for output in place.command.output_files:
                if _wanted(output.condition, result.code):
                    await self._transfers.upload(output, Path(place.working))
        except TransferError as error:
            if result.failure is None and result.code == 0:
                result = Exit(code=result.code, failure=error.failure, stage="upload")
        except asyncio.CancelledError:
            _LOG.info("upload of output files stopped, run=%d", run_id)
        self._transferring.pop(run_id, None)
        self._finish(run_id, result)

    def _forget(self, run_id: int) -> None:
        self._places.pop(run_id, None)
        self._stopped.discard(run_id)

    def _finish(self, run_id: int, result: Exit) -> None:
        self._forget(run_id)
        _defer(self._ended, run_id, result)

    # --- files ---

    def _clean(self, path: Path) -> None:
        self._shared.pop(path.name, None)
        if path.exists():
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True))
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)

    def begun(self, job_id: str, nodes: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Ids of the job's tasks that have a directory on one of these nodes, (pool id, node id)."""
        for pool_id, node_id in nodes:
            folder = self.node_root(pool_id, node_id) / layout.job_directory(job_id)
            if folder.is_dir():
                yield from (entry.name for entry in folder.iterdir())

    def sweep(self, known: Iterable[tuple[str, str]]) -> None:
        """Remove what nodes left that are not there any more. `known`: (pool id, node id)."""
        there = {self.node_root(pool_id, node_id) for pool_id, node_id in known}
        for root in (self._site.directory / "nodes").glob("*/*"):
            if root not in there:
                self._clean(root)

    async def close(self) -> None:
        """End everything that runs."""
        for task in self._transferring.values():
            task.cancel()
        await asyncio.gather(*self._transferring.values(), *self._cleaning, return_exceptions=True)
        await self._processes.close()


def _defer(ended: Callable[[int, Exit], None], run_id: int, result: Exit) -> None:
    """The core is never called from within a call to the runner."""
    asyncio.get_running_loop().call_soon(ended, run_id, result)


@lru_cache(maxsize=1024)
def _words(command_line: str) -> list[str]:
    """The words of a command line, by the rules of a POSIX shell's quotes. Raises ValueError."""
    return shlex.split(command_line)


def _wanted(condition: str, code: int | None) -> bool:
    match condition:
        case "tasksuccess":
            return code == 0
        case "taskfailure":
            return code != 0
        case _:
            return True


_MESSAGES = {
    "CommandProgramNotFound": "The specified command program is not found",
    "CommandLaunchFailed": "Failed to launch the specified command line",
}


def _failed(code: str, detail: str) -> Exit:
    failure = Failure(category="usererror", code=code, message=_MESSAGES[code], details=(("Message", detail),))
    return Exit(code=None, failure=failure, stage="preprocessing")
