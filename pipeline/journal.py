"""What the stages leave behind about their runs: the last one in `state/<stage>.json`, one line each in `journal/…`.

Status, the page and `darkroom why` read these instead of listing containers. Losing one harms no image: nothing that
decides about an image reads them, so a failure to write is logged and passed over.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.storage import BlobExistsError, BlobMissingError, Container, StorageError
from shared.document import decode, encode
from shared.errors import DocumentError, RetryableError

STATE = "state/"
JOURNAL = "journal/"
STATE_KIND = "state"
LINE_KIND = "journal"
SCHEMA = 1

_log = logging.getLogger("darkroom.journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """The last run of a stage."""

    stage: str
    started: str = ""
    """ISO 8601 UTC."""
    finished: str = ""
    ok: bool = True
    error: Mapping[str, str] | None = None
    """`code` and `message` of the first thing that went wrong, where something did."""
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What the run found and did."""
    totals: Mapping[str, int] = field(default_factory=dict)
    """Counters since ever. A run that was killed is missing from them."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What the stage itself has to remember until its next run."""
    schedule: str = ""
    """NCRONTAB of the stage's timer, so that a reader can tell when it is late; empty where it has none."""

    def as_json(self) -> dict[str, Any]:
        """For people and programs: everything but the stage's private memory."""
        return {
            "stage": self.stage,
            "started": self.started,
            "finished": self.finished,
            "ok": self.ok,
            "error": dict(self.error) if self.error else None,
            "seen": dict(self.seen),
            "totals": dict(self.totals),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One run of a stage, as the time series has it."""

    at: str
    """ISO 8601 UTC."""
    stage: str
    seconds: float
    counts: Mapping[str, float]


def to_line(line: Line) -> bytes:
    """The run as one line of a journal, newline included."""
    body = {"at": line.at, "stage": line.stage, "seconds": round(line.seconds, 3), "counts": dict(line.counts)}
    return encode(LINE_KIND, SCHEMA, body) + b"\n"


@dataclass(slots=True, kw_only=True)
class Run:
    """A run that is under way: what it fills in is written at its end, however it ends."""

    stage: str
    started: datetime
    memory: dict[str, Any]
    seen: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    """For the time series, and added to the totals where `total` names them."""
    gauges: dict[str, float] = field(default_factory=dict)
    """For the time series only: how things stand."""
    total: frozenset[str] = frozenset()
    errors: list[tuple[str, str]] = field(default_factory=list)

    def failed(self, error: Exception) -> None:
        """Notes what went wrong in one part; the other parts go on."""
        code = str(getattr(error, "code", "") or type(error).__name__)
        self.errors.append((code, str(error)))


@dataclass(kw_only=True)
class Journal:
    """Reads and writes state and journal in the manifests container."""

    container: Container
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    schedules: Mapping[str, str] = field(default_factory=dict)
    """Of the stages that have a timer."""

    async def state(self, stage: str) -> StageState | None:
        """The last run that was written; None where there is none that this release can read."""
        try:
            stored = await self.container.read(f"{STATE}{stage}.json")
            return _state(decode(stored.data, STATE_KIND, SCHEMA, where=f"{STATE}{stage}.json"))
        except BlobMissingError:
            return None
        except DocumentError as error:
            _log.warning("event=state_unreadable stage=%s error=%r", stage, str(error))
            return None

    async def write(self, state: StageState) -> None:
        """Replaces the state of a stage."""
        body = {**state.as_json(), "memory": dict(state.memory), "schedule": state.schedule}
        await self.container.replace(f"{STATE}{state.stage}.json", encode(STATE_KIND, SCHEMA, body))

    async def append(self, line: Line) -> None:
        """Adds a line to the day's journal of a stage."""
        data = to_line(line)
        name = f"{JOURNAL}{line.at[:10].replace('-', '')}/{line.stage}.jsonl"
        try:
            await self.container.append(name, data)
        except BlobMissingError:
            with suppress(BlobExistsError):  # another process was first
                await self.container.create_append(name)
            await self.container.append(name, data)

    async def lines(self, stage: str, day: datetime, *, last: int = 256_000) -> list[Line]:
        """The lines of one day's journal, at most its last bytes; the oldest may be cut off, and is left out."""
        name = f"{JOURNAL}{day:%Y%m%d}/{stage}.jsonl"
        try:
            stored = await self.container.read(name, last=last)
        except BlobMissingError:
            return []
        return [line for raw in stored.data.split(b"\n") if (line := _line(raw)) is not None]

    @asynccontextmanager
    async def run(self, stage: str, *, total: frozenset[str] = frozenset()) -> AsyncIterator[Run]:
        """One run of a stage. An error that leaves the block is noted, logged and raised on."""
        begun = time.monotonic()
        last = await self._last(stage)
        run = Run(stage=stage, started=self.now(), memory=dict(last.memory) if last else {}, total=total)
        try:
            yield run
        except Exception as error:
            run.failed(error)
            raise
        finally:
            await self._finish(run, last, time.monotonic() - begun)

    async def note(self, run: Run) -> None:
        """Stores what the stage must remember before it goes on."""
        last = await self._last(run.stage)
        state = last or StageState(stage=run.stage)
        await self.write(_with_memory(state, run.memory))

    async def _last(self, stage: str) -> StageState | None:
        try:
            return await self.state(stage)
        except StorageError as error:
            _log.warning("event=state_unread stage=%s error=%r", stage, str(error))
            return None

    async def _finish(self, run: Run, last: StageState | None, seconds: float) -> None:
        for code, message in run.errors:
            _log.error("event=stage_failed stage=%s code=%s error=%r", run.stage, code, message)
        totals = Counter(last.totals if last else {})
        totals.update({name: run.counts[name] for name in run.total if run.counts[name]})
        finished = self.now()
        state = StageState(
            stage=run.stage,
            started=run.started.isoformat(),
            finished=finished.isoformat(),
            ok=not run.errors,
            error={"code": run.errors[0][0], "message": run.errors[0][1]} if run.errors else None,
            seen=run.seen,
            totals=totals,
            memory=run.memory,
            schedule=self.schedules.get(run.stage, ""),
        )
        counts = {**run.gauges, **{name: float(value) for name, value in run.counts.items()}}
        try:
            await self.write(state)
            await self.append(Line(at=finished.isoformat(), stage=run.stage, seconds=seconds, counts=counts))
        except (StorageError, RetryableError) as error:
            _log.warning("event=state_unwritten stage=%s error=%r", run.stage, str(error))


def _with_memory(state: StageState, memory: Mapping[str, Any]) -> StageState:
    return StageState(
        stage=state.stage,
        started=state.started,
        finished=state.finished,
        ok=state.ok,
        error=state.error,
        seen=state.seen,
        totals=state.totals,
        memory=memory,
        schedule=state.schedule,
    )


def _state(body: Mapping[str, Any]) -> StageState:
    error = body.get("error")
    return StageState(
        stage=str(body.get("stage", "")),
        started=str(body.get("started", "")),
        finished=str(body.get("finished", "")),
        ok=bool(body.get("ok", True)),
        error={str(key): str(value) for key, value in error.items()} if isinstance(error, dict) else None,
        seen=_object(body.get("seen")),
        totals={key: int(value) for key, value in _object(body.get("totals")).items() if isinstance(value, int)},
        memory=_object(body.get("memory")),
        schedule=str(body.get("schedule", "")),
    )


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _line(raw: bytes) -> Line | None:
    try:
        body = json.loads(raw)
    except ValueError:
        return None  # cut off at the front, or torn
    if not isinstance(body, dict) or body.get("kind") != LINE_KIND or body.get("schema") != SCHEMA:
        return None
    counts = {key: float(value) for key, value in _object(body.get("counts")).items() if isinstance(value, int | float)}
    return Line(
        at=str(body.get("at", "")),
        stage=str(body.get("stage", "")),
        seconds=float(body.get("seconds", 0.0)),
        counts=counts,
    )
