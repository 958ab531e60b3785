"""The inbox of one process: arrivals made durable by grouped appends to blobs that no other process appends to.

Concurrent callers share one append (group commit): while an append is under way, those who come wait for the next.
A blob that was sealed or deleted under us (dispatch took it) is left for a new one. Every waiter is answered on every
path.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.storage import BlobExistsError, BlobMissingError, BlobSealedError, Container
from shared.arrival import Arrival, to_line
from shared.errors import RetryableError

PREFIX = "inbox/"
MAX_BLOCKS = 40_000
"""Appends to one blob; the service's limit is 50,000."""
MAX_APPEND = 1_000_000
"""Bytes of one append; the service's limit is 4 MiB with older service versions."""


def inbox_name(process: str, number: int) -> str:
    """The n-th inbox of a process."""
    return f"{PREFIX}{process}/{number:06d}.jsonl"


@dataclass(slots=True)
class _Waiting:
    data: bytes
    durable: asyncio.Future[None]


@dataclass(kw_only=True)
class Inbox:
    """Appends arrivals for one process. Make it lazily, on the loop that uses it."""

    container: Container
    process: str
    """Unique to the process: nobody else appends under this name."""
    appends: int = 0
    """Appends that were answered, for figures."""
    _number: int = 0
    _blocks: int = 0
    _open: bool = False
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _flusher: asyncio.Task[None] | None = None

    async def add(self, arrivals: Sequence[Arrival], *, deadline: float) -> None:
        """Returns when the arrivals are durable.

        Raises RetryableError when they are not within `deadline` seconds, or when storage refused: they may or may not
        be there, so the caller brings them again, with the same ids.
        """
        if not arrivals:
            return
        waiting = [self._wait_for(chunk) for chunk in _chunks(arrivals)]
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush(), name="inbox")
        try:
            async with asyncio.timeout(deadline):
                await asyncio.gather(*(w.durable for w in waiting))
        except TimeoutError as error:
            raise RetryableError(f"arrivals were not durable within {deadline:g} s") from error

    def _wait_for(self, data: bytes) -> _Waiting:
        waiting = _Waiting(data, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        return waiting

    async def _flush(self) -> None:
        while self._waiting:
            group = self._take()
            if not group:
                continue
            try:
                await self._append(b"".join(w.data for w in group))
            except Exception as error:  # noqa: BLE001 (whatever it is, those who wait are told, each by itself)
                for waiting in group:
                    if not waiting.durable.done():
                        waiting.durable.set_exception(_copy(error))
            except BaseException:
                for waiting in (*group, *self._waiting):
                    waiting.durable.cancel()
                self._waiting.clear()
                raise
            else:
                for waiting in group:
                    if not waiting.durable.done():
                        waiting.durable.set_result(None)

    def _take(self) -> list[_Waiting]:
        """The next group: in order, as much as one append takes, without those who gave up."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].data) <= MAX_APPEND):
            waiting = self._waiting.popleft()
            if not waiting.durable.done():
                group.append(waiting)
                size += len(waiting.data)
        return group

    async def _append(self, data: bytes) -> None:
        while True:
            if not self._open or self._blocks >= MAX_BLOCKS:
                await self._next_blob()
            try:
                await self.container.append(inbox_name(self.process, self._number), data)
            except (BlobSealedError, BlobMissingError):
                self._open = False  # dispatch has taken it
                continue
            self._blocks += 1
            self.appends += 1
            return

    async def _next_blob(self) -> None:
        self._open = False
        while True:
            self._number += 1
            try:
                await self.container.create_append(inbox_name(self.process, self._number))
            except BlobExistsError:
                continue  # an earlier try whose answer was lost: an empty inbox harms nobody
            self._open, self._blocks = True, 0
            return


def _chunks(arrivals: Sequence[Arrival]) -> list[bytes]:
    chunks: list[bytes] = []
    lines: list[bytes] = []
    size = 0
    for line in map(to_line, arrivals):
        if lines and size + len(line) > MAX_APPEND:
            chunks.append(b"".join(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    chunks.append(b"".join(lines))
    return chunks


def _copy(error: Exception) -> Exception:
    """An error of its own for each waiter: one that is raised in many tasks at once collects all their tracebacks."""
    return RetryableError(f"arrivals are not durable: {error}", retry_after=getattr(error, "retry_after", None))
