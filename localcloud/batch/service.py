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
        self._pumping = False
        self._closed = False

    @property
    def name(self) -> str:
        return self.account.name

    def start(self) -> None:
        """Begin to work, on the running event loop."""
        nodes = ((node.pool.id, node.id) for pool in self.account.pools.values() for node in pool.nodes.values())
        self.runner.sweep(nodes)
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
        """The account as it is now, for reading only."""
        self.account.advance(self.clock.now())
        if self.account.world.effects or self.account.world.changed:
            self.pump()
        return self.account

    def pump(self) -> None:
        """Let due timers fire, carry effects out, remember changes, and set the alarm for what comes next."""
        self._pumping = False
        if self._closed:
            return
        self.account.advance(self.clock.now())
        self.runner.carry_out(self.account.take_effects())
        if self._store is not None:
            self._store.commit(self.account)
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        due = self.account.next_event_time()
        if due is not None:
            delay = min(self.clock.wall_seconds_until(due), _LONGEST_SLEEP)
            self._alarm = asyncio.get_running_loop().call_later(delay, self.pump)

    def _run_ended(self, run_id: int, end: Exit) -> None:
        if self._closed:
            return
        self.account.advance(self.clock.now())
        if not self.account.finished(run_id, end):
            _LOG.debug("account=%s an unknown run ended, run=%d", self.name, run_id)
        if not self._pumping:  # one pump for all ends of this turn of the loop
            self._pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    async def close(self) -> None:
        """Stop: kill what runs, keep what is known."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self.runner.close()
        if self._store is not None:
            self._store.commit(self.account)
            self._store.close()
