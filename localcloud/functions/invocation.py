"""Calls functions: async ones on the loop, sync ones in a small thread pool, each within the app's time limit.

https://learn.microsoft.com/azure/azure-functions/python-scale-performance-reference
"""

import asyncio
import contextvars
import logging
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from azure.functions import Context
from azure.functions._abc import RetryContext, TraceContext

from localcloud.errors import LocalCloudError
from localcloud.functions.index import AppFunction

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The call that the present code belongs to."""

    id: str
    function: str


current: contextvars.ContextVar[Invocation | None] = contextvars.ContextVar("invocation", default=None)
"""Set while a function runs, in its thread or task and in what these start; the log reads it."""


class InvocationFailedError(LocalCloudError):
    """The function raised, ran too long, or answered what it must not. Its traceback is in the log."""


@dataclass(slots=True)
class _Context(Context):
    """What a function gets that asks for `context`."""

    invocation: Invocation
    directory: str
    _local: threading.local = field(default_factory=threading.local)

    @property
    def invocation_id(self) -> str:
        return self.invocation.id

    @property
    def thread_local_storage(self) -> Any:
        return self._local

    @property
    def function_name(self) -> str:
        return self.invocation.function

    @property
    def function_directory(self) -> str:
        return self.directory

    @property
    def trace_context(self) -> TraceContext:
        raise NotImplementedError("the local host has no trace context")

    @property
    def retry_context(self) -> RetryContext:
        raise NotImplementedError("the local host has no retry policies")


def _threads() -> int:
    configured = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(configured) if configured.isdigit() and int(configured) > 0 else min(32, (os.cpu_count() or 1) + 4)


class Invoker:
    """Runs the functions of one app. `timeout` None is unlimited."""

    def __init__(self, *, app_root: Path, timeout: timedelta | None) -> None:
        self._app_root = app_root
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(max_workers=_threads(), thread_name_prefix="function")
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, function: AppFunction, argument: object, *, reason: str) -> asyncio.Task[Any]:
        """Begin an invocation. The task ends with what the function returned, or with InvocationFailedError."""
        task = asyncio.create_task(self._invoke(function, argument, reason))
        self._running.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # logged where it happened; nobody may be waiting for it

    async def call(self, function: AppFunction, argument: object, *, reason: str) -> Any:
        """Invoke and wait. A caller that is cancelled leaves the invocation running, as on Azure."""
        return await asyncio.shield(self.start(function, argument, reason=reason))

    async def close(self, *, grace_seconds: float) -> None:
        """Let running invocations end for `grace_seconds`, then cancel the async ones."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            if late:
                _log.warning("%d invocations were cut short by the stop", len(late))
                await asyncio.wait(late, timeout=1.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _invoke(self, function: AppFunction, argument: object, reason: str) -> Any:
        invocation = Invocation(id=str(uuid.uuid4()), function=function.name)
        current.set(invocation)
        _log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, reason, invocation.id)
        started = time.perf_counter()
        try:
            result = await self._bounded(function, argument, invocation)
        except Exception as error:
            self._report(function, invocation, started, error)
            raise InvocationFailedError(f"{function.name}: {type(error).__name__}: {error}") from error
        _log.info(
            "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%.0fms)",
            function.name,
            invocation.id,
            (time.perf_counter() - started) * 1000,
        )
        return result

    def _report(self, function: AppFunction, invocation: Invocation, started: float, error: Exception) -> None:
        _log.error(
            "Executed 'Functions.%s' (Failed, Id=%s, Duration=%.0fms)",
            function.name,
            invocation.id,
            (time.perf_counter() - started) * 1000,
            exc_info=error,
        )

    async def _bounded(self, function: AppFunction, argument: object, invocation: Invocation) -> Any:
        arguments: dict[str, Any] = {function.argument: argument}
        if function.wants_context:
            arguments["context"] = _Context(invocation, str(self._app_root))
        limit = self._timeout.total_seconds() if self._timeout else None
        async with asyncio.timeout(limit):
            if function.is_async:
                result = await function.call(**arguments)
            else:
                call = partial(contextvars.copy_context().run, partial(function.call, **arguments))
                result = await asyncio.get_running_loop().run_in_executor(self._pool, call)
        if result is not None and not function.returns:
            raise RuntimeError(
                f"function {function.name!r} without a $return binding returned a non-None value"
            )  # as Microsoft's worker does
        return result
