"""A driver under a virtual clock: runs end when a model says so."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.batch.core.effects import Exit, Launch, NodeGone, NodeRecord, Stop

if TYPE_CHECKING:
    from localcloud.batch.core.account import Account
    from localcloud.batch.core.entities import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How long a run takes (seconds) and how it ends."""

    seconds: float
    exit_code: int = 0


class VirtualDriver:
    """Drives an account through virtual time. `duration(run)` models each run when it is launched.

    `at(when, action)` plans something from outside (an arrival, a storm); `gone` collects the records of
    removed nodes.
    """

    def __init__(self, account: "Account", *, duration: "Callable[[Run], Outcome]") -> None:
        self._account = account
        self._duration = duration
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._sequence = 0
        self.gone: list[NodeRecord] = []

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Call `action` when the account's clock is at `when`."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, action))

    def run_until(self, end: float) -> None:
        """Let time pass until `end`."""
        account, heap = self._account, self._heap
        self._carry_out()
        while True:
            due = account.next_event_time()
            if heap and (due is None or heap[0][0] < due):
                when, _, action = heap[0]
                if when > end:
                    break
                account.advance(when)
                heapq.heappop(heap)
                action()
            elif due is not None and due <= end:
                account.advance(due)
            else:
                break
            self._carry_out()
        account.advance(end)

    def _carry_out(self) -> None:
        account = self._account
        while effects := account.take_effects():
            for effect in effects:
                match effect:
                    case Launch(run):
                        outcome = self._duration(run)
                        self.at(account.now + outcome.seconds, _Ending(account, run.id, outcome.exit_code))
                    case Stop(run_id):
                        account.finished(run_id, Exit(code=-15))
                    case NodeGone(record=NodeRecord() as record):
                        self.gone.append(record)


@dataclass(frozen=True, slots=True)
class _Ending:
    """The natural end of a run; a run that was stopped before is not known any more."""

    account: "Account"
    run_id: int
    exit_code: int

    def __call__(self) -> None:
        self.account.finished(self.run_id, Exit(code=self.exit_code))
