"""Misbehaviour that was ordered beforehand: for a pool, or for whichever comes next."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from localcloud.batch.core.entities import Pool

Order = TypeVar("Order")


@dataclass(slots=True)
class Orders(Generic[Order]):
    """What to do the next times, by pool; None stands for any pool. Those given first are carried out first."""

    _waiting: list[tuple[str | None, Order, int]] = field(default_factory=list)

    def add(self, pool_id: str | None, order: Order, times: int) -> None:
        """Orders it for the next `times` occasions."""
        self._waiting.append((pool_id.lower() if pool_id else None, order, times))

    def take(self, pool: Pool) -> Order | None:
        """What is ordered for this occasion; it counts as done."""
        for at, (pool_id, order, times) in enumerate(self._waiting):
            if pool_id in (None, pool.id.lower()):
                self._waiting[at : at + 1] = [(pool_id, order, times - 1)] if times > 1 else []
                return order
        return None
