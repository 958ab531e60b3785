"""Carries out what the core asks for: launches, stops, removals of files."""

import asyncio
import logging
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.batch import layout
from localcloud.batch.core.effects import Effect, Exit, Failure, Launch, NodeGone, Stop, WorkGone
from localcloud.batch.core.entities import Run
from localcloud.batch.runner.environment import Place, environment_of, place_of
from localcloud.batch.runner.processes import Ended, Processes
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
        self._roots: set[Path] = set()
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
        place = place_of(run, self.node_root(run.node.pool.id, run.node.id))
        if place is None:
            _defer(self._ended, run.id, _failed("CommandLaunchFailed", "The command is not defined any more"))
            return
        self._places[run.id] = place
        environment = environment_of(
            run, place, account=self._site.account, endpoint=self._site.endpoint, image=self._site.image
        )
        try:
            argv = shlex.split(place.command.command_line)
            self._make_directories(place)
        except ValueError as error:
            self._finish(run.id, _failed("CommandLaunchFailed", f"The command line cannot be split: {error}"))
            return
        except OSError as error:
            self._finish(run.id, _failed("ResourceDirectoryCreateFailed", str(error), category="servererror"))
            return
        if not argv:
            self._finish(run.id, _failed("CommandProgramNotFound", "The command line is empty"))
        elif place.command.resource_files:
            work = self._download_and_start(run.id, place, argv, environment)
            self._transferring[run.id] = asyncio.get_running_loop().create_task(work)
        else:
            self._start(run.id, place, argv, environment)

    def _make_directories(self, place: Place) -> None:
        if place.root not in self._roots:
            (place.root / layout.SHARED).mkdir(parents=True, exist_ok=True)
            self._roots.add(place.root)
        directory = str(place.directory)
        try:
            os.mkdir(directory)
            os.mkdir(f"{directory}/{layout.WORKING}")
        except OSError:
            place.working.mkdir(parents=True, exist_ok=True)

    async def _download_and_start(
        self, run_id: int, place: Place, argv: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        try:
            for resource in place.command.resource_files:
                await self._transfers.download(resource, place.working)
        except TransferError as error:
            self._transferring.pop(run_id, None)
            self._finish(run_id, Exit(code=None, failure=error.failure, stage="preprocessing"))
            return
        except asyncio.CancelledError:
            self._finish(run_id, Exit(code=None))
            return
        self._transferring.pop(run_id, None)
        self._start(run_id, place, argv, environment)

    def _start(self, run_id: int, place: Place, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._processes.start(
            run_id,
            argv,
            cwd=place.working,
            env=environment,
            out=place.directory / layout.STANDARD_OUTPUT,
            err=place.directory / layout.STANDARD_ERROR,
        )

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
            case _:
                result = Exit(code=end.code)
        wanted = self._uploads(place, end.code) if place is not None and run_id not in self._stopped else ()
        if place is None or not wanted:
            self._finish(run_id, result)
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
                    await self._transfers.upload(output, place.working)
        except TransferError as error:
            if result.failure is None and result.code == 0:
                result = Exit(code=result.code, failure=error.failure, stage="upload")
        except asyncio.CancelledError:
            _LOG.info("upload of output files stopped, run=%d", run_id)
        self._transferring.pop(run_id, None)
        self._finish(run_id, result)

    def _finish(self, run_id: int, result: Exit) -> None:
        self._places.pop(run_id, None)
        self._stopped.discard(run_id)
        _defer(self._ended, run_id, result)

    # --- files ---

    def _clean(self, path: Path) -> None:
        self._roots.discard(path)
        if path.exists():
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True))
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)

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
    "ResourceDirectoryCreateFailed": "Failure encountered creating resource directory for the task",
}


def _failed(code: str, detail: str, *, category: str = "usererror") -> Exit:
    failure = Failure(category=category, code=code, message=_MESSAGES[code], details=(("Message", detail),))
    return Exit(code=None, failure=failure, stage="preprocessing")
