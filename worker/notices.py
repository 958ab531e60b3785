"""A node's notice: SIGTERM says that the node goes in half a minute, and everything must be told by then."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import TypeVar

T = TypeVar("T")
_SPARE_SECONDS = 4.0  # after the grace: to write outcomes and say goodbye, within 20 s in all
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class NoticeError(Exception):
    """The work did not end in time after a notice, and was abandoned."""


@contextlib.contextmanager
def notices(asked: asyncio.Event) -> Iterator[None]:
    """While the block runs, SIGTERM and SIGINT set the event instead of ending the process."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, asked.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def heeding(asked: asyncio.Event, grace: float, work: Coroutine[None, None, T]) -> T:
    """The result of `work`, which watches `asked` itself. Raises NoticeError where it goes on for too long after it."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(asked.wait())
    try:
        with notices(asked):
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait({task}, timeout=grace + _SPARE_SECONDS)
            if task.done():
                return task.result()
            raise NoticeError(f"the work did not end within {grace + _SPARE_SECONDS:g} seconds of the notice")
    finally:
        for each in (task, waiting):
            each.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
