"""One account at work: the core, its clock, the runner that executes, the store that remembers."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Protocol

from localcloud.batch.clock import Clock
from localcloud.batch.core import Account, Exit, Refused
from localcloud.batch.faults import Faults
from localcloud.batch.runner.runner import Runner, Site
from localcloud.batch.runner.transfers import Transfers

_LOG = logging.getLogger(__name__)
_LONGEST_SLEEP = 3600.0
_COMMIT_DELAY = 0.05


class Store(Protocol):
    """Remembers an account's changes. `commit` returns when they would survive the death of this process."""

    def commit(self, account: Account) -> None: ...

    def close(self) -> None: ...


class Service:
    """Drives one account in (scaled) wall time, on the running event loop."""

    def __init__(
        self, account: Account, *, key: str, clock: Clock, site: Site, transfers: Transfers, store: Store | None
    ) -> None:
        self.account = account
        self.key = key
        self.clock = clock
        self.endpoint = site.endpoint
        self.faults = Faults()
        self.runner = Runner(site, transfers=transfers, ended=self._run_ended)
        self._store = store
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_for: float | None = None
        self._committing: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self.account.name

    def start(self) -> None:
        """Begin to work, on the running event loop."""
        nodes = [(node.pool.id, node.id) for pool in self.account.pools.values() for node in pool.nodes.values()]
        self.runner.sweep(nodes)
        # Starts are remembered a moment after they are made (_COMMIT_DELAY); what a node's files show counts as well.
        for job in self.account.jobs.values():
            for task_id in self.runner.begun(job.id, nodes):
                self.account.began_unremembered(job.id, task_id)
        self.pump()

    @contextlib.contextmanager
    def operation(self) -> Iterator[Account]:
        """Do something to the account now. When the block is left, what it caused is under way and remembered."""
        self.account.advance(self.clock.now())
        try:
            yield self.account
        except Refused:
            self.pump()
            raise
        self.pump()

    def reading(self) -> Account:
        """The account as it is now, for reading only. What a reader sees is remembered before the reader sees it."""
        self.account.advance(self.clock.now())
        self.pump()
        return self.account

    def pump(self) -> None:
        """Let due timers fire, carry effects out, remember changes, and set the alarm for what comes next."""
        if self._closed:
            return
        self._work()
        self._commit()

    def _work(self) -> None:
        self.account.advance(self.clock.now())
        effects = self.account.take_effects()
        if effects:
            self.runner.carry_out(effects)
        self._set_alarm()

    def _commit(self) -> None:
        if self._committing is not None:
            self._committing.cancel()
            self._committing = None
        if self._store is not None:
            self._store.commit(self.account)

    def _set_alarm(self) -> None:
        due = self.account.next_event_time()
        if due == self._alarm_for:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_for = None, due
        if due is not None:
            delay = min(self.clock.wall_seconds_until(due), _LONGEST_SLEEP)
            self._alarm = asyncio.get_running_loop().call_later(delay, self._alarmed)

    def _alarmed(self) -> None:
        self._alarm_for = None
        self.pump()

    def _run_ended(self, run_id: int, end: Exit) -> None:
        if self._closed:
            return
        self.account.advance(self.clock.now())
        if not self.account.finished(run_id, end):
            _LOG.debug("account=%s an unknown run ended, run=%d", self.name, run_id)
        self._work()
        if self._committing is None:  # one commit for all that end within a moment that nobody looked at
            self._committing = asyncio.get_running_loop().call_later(_COMMIT_DELAY, self._commit_later)

    def _commit_later(self) -> None:
        self._committing = None
        if not self._closed:
            self._commit()

    async def close(self) -> None:
        """Stop: kill what runs, keep what is known."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self.runner.close()
        if self._store is not None:
            self._store.commit(self.account)
            self._store.close()
