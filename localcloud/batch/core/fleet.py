"""Pools and their size: creation, resizing, deletion. What a single node lives through is in `nodes.py`."""

from localcloud.batch.core.entities import Allocation, Node, Pool
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.orders import Orders
from localcloud.batch.core.policies import AllocationGrant
from localcloud.batch.core.specs import PoolSpec
from localcloud.batch.core.states import AllocationState, Deallocation, NodeState, PoolState
from localcloud.batch.core.world import World

# Which nodes go first when a pool shrinks: those that do not work, then those that do not work yet, then the idle.
_REMOVAL_ORDER = {
    NodeState.UNUSABLE: 0,
    NodeState.START_TASK_FAILED: 0,
    NodeState.PREEMPTED: 0,
    NodeState.UNKNOWN: 0,
    NodeState.CREATING: 1,
    NodeState.STARTING: 1,
    NodeState.WAITING_FOR_START_TASK: 1,
    NodeState.OFFLINE: 2,
    NodeState.IDLE: 3,
}


class Fleet:
    """The sizes of pools."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.planned: Orders[AllocationGrant] = Orders()
        """What requests for nodes are answered with, instead of what the model says."""

    def create(self, spec: PoolSpec, *, auto_for: str | None = None) -> Pool:
        world = self._world
        if spec.id.lower() in world.pools:
            raise Refused("PoolExists")
        if len(world.pools) >= world.quotas.pools:
            raise Refused("PoolQuotaReached")
        world.autoscaler.check(spec.autoscale_formula)
        pool = Pool(
            spec=spec,
            revision=world.revision(),
            state=PoolState.ACTIVE,
            state_at=world.now,
            allocation_at=world.now,
            interval=spec.autoscale_interval,
            auto_for=auto_for,
        )
        world.pools[spec.id.lower()] = pool
        world.save(pool)
        self.adopt_jobs(pool)
        world.autoscaler.start_sampling(pool)
        if spec.autoscale_formula is not None:
            world.autoscaler.enable(pool, spec.autoscale_formula, spec.autoscale_interval)
        else:
            self.set_targets(pool, spec.target_dedicated, spec.target_low_priority)
        return pool

    def adopt_jobs(self, pool: Pool) -> None:
        """Jobs may name a pool before it exists: now it does."""
        for job in self._world.jobs.values():
            if job.pool_id.lower() == pool.id.lower():
                pool.live_jobs[job.id.lower()] = job
                self._world.dispatcher.offer(job)

    def active(self, pool_id: str) -> Pool:
        pool = self._world.pool(pool_id)
        if pool.state is PoolState.DELETING:
            raise Refused("PoolBeingDeleted")
        return pool

    def resize(
        self,
        pool_id: str,
        *,
        dedicated: int | None,
        low_priority: int | None,
        option: Deallocation = Deallocation.REQUEUE,
        timeout: float = 900.0,
    ) -> None:
        pool = self.active(pool_id)
        if pool.autoscales:
            raise Refused(
                "OperationInvalidForCurrentState",
                values=(("Reason", "The pool has automatic scaling enabled: disable it to resize the pool"),),
            )
        if pool.allocation is not AllocationState.STEADY:
            raise Refused("PoolBeingResized")
        self.set_targets(
            pool,
            pool.target_dedicated if dedicated is None else dedicated,
            pool.target_low_priority if low_priority is None else low_priority,
            option=option,
            timeout=timeout,
        )

    def set_targets(
        self,
        pool: Pool,
        dedicated: int,
        low_priority: int,
        *,
        option: Deallocation = Deallocation.REQUEUE,
        timeout: float | None = None,
    ) -> None:
        """Grow or shrink towards the targets. `timeout` None: the pool's own; autoscale has none."""
        world = self._world
        pool.target_dedicated, pool.target_low_priority = dedicated, low_priority
        pool.deallocation = option
        pool.resize_errors = []
        self._move(pool, AllocationState.RESIZING)
        world.revise(pool)
        for kind, target in ((True, dedicated), (False, low_priority)):
            staying = [n for n in pool.nodes.values() if n.dedicated is kind and n.leaving is None]
            coming = [a for a in pool.arriving if a.dedicated is kind]
            wanted = target - len(staying) - len(coming)
            if wanted > 0:
                self._request(pool, kind, wanted)
            elif wanted < 0:
                self._shrink(pool, staying, coming, -wanted, option)
        self._arm_deadline(pool, pool.spec.resize_timeout if timeout is None else timeout)
        self.settle(pool)

    def _shrink(
        self, pool: Pool, staying: list[Node], coming: list[Allocation], surplus: int, option: Deallocation
    ) -> None:
        for allocation in reversed(coming):
            if surplus == 0:
                return
            self._cancel(pool, allocation)
            surplus -= 1
        staying.sort(key=lambda n: (_REMOVAL_ORDER.get(n.state, 4), n.slots_used, -n.serial))
        for node in staying[:surplus]:
            self._world.node_rules.leave(node, option)

    def _request(self, pool: Pool, dedicated: bool, count: int) -> None:
        world = self._world
        allowed = min(count, self._quota_left(pool, dedicated))
        grant = self._planned(pool, allowed) if allowed else AllocationGrant(delays=())
        if grant is None:
            grant = world.model.allocate(
                pool_id=pool.id, dedicated=dedicated, count=allowed, now=world.now, rng=world.rng
            )
        if allowed < count:
            code = "AccountCoreQuotaReached" if dedicated else "AccountLowPriorityCoreQuotaReached"
            pool.resize_errors.append((code, "The specified account has reached its core quota"))
        if grant.error is not None:
            pool.resize_errors.append(grant.error)
            pool.autoscale_held = pool.autoscale_held or grant.sticky
        for delay in grant.delays[:allowed]:
            self.expect(pool, Allocation(at=world.now + delay, dedicated=dedicated))

    def expect(self, pool: Pool, allocation: Allocation) -> None:
        pool.arriving.append(allocation)
        allocation.timer = self._world.timers.at(allocation.at, self._arrive, pool, allocation)

    def _arrive(self, pool: Pool, allocation: Allocation) -> None:
        pool.arriving.remove(allocation)
        self._world.node_rules.appear(pool, dedicated=allocation.dedicated)
        self.settle(pool)

    def _planned(self, pool: Pool, count: int) -> AllocationGrant | None:
        grant = self.planned.take(pool)
        return grant and AllocationGrant(delays=grant.delays[:count], error=grant.error, sticky=grant.sticky)

    def _quota_left(self, pool: Pool, dedicated: bool) -> int:
        world = self._world
        quota = world.quotas.dedicated_cores if dedicated else world.quotas.low_priority_cores
        used = 0
        for other in world.pools.values():
            nodes = other.current(dedicated=dedicated)
            nodes += sum(1 for a in other.arriving if a.dedicated is dedicated)
            used += nodes * other.spec.cores_per_node
        return max(0, (quota - used) // max(1, pool.spec.cores_per_node))

    def _cancel(self, pool: Pool, allocation: Allocation) -> None:
        if allocation.timer is not None:
            allocation.timer.cancel()
        pool.arriving.remove(allocation)

    def _arm_deadline(self, pool: Pool, timeout: float) -> None:
        if pool.resize_deadline is not None:
            pool.resize_deadline.cancel()
        pool.resize_deadline = None
        pool.resize_deadline_at = None
        if not pool.autoscales:
            pool.resize_deadline_at = self._world.now + timeout
            self.arm(pool)

    def arm(self, pool: Pool) -> None:
        if pool.resize_deadline_at is not None:
            pool.resize_deadline = self._world.timers.at(pool.resize_deadline_at, self._time_out, pool)

    def _time_out(self, pool: Pool) -> None:
        if pool.allocation is AllocationState.STEADY or pool.state is PoolState.DELETING:
            return
        pool.resize_errors.append(
            (
                "AllocationTimedout",
                "Desired number of nodes could not be allocated as the resize timeout was reached",
            )
        )
        self._give_up(pool)

    def _give_up(self, pool: Pool) -> None:
        for allocation in tuple(pool.arriving):
            self._cancel(pool, allocation)
        for node in tuple(pool.nodes.values()):
            if node.leaving in (Deallocation.TASK_COMPLETION, Deallocation.RETAINED_DATA):
                self._world.node_rules.stay(node)
        self.settle(pool)

    def stop_resize(self, pool_id: str) -> None:
        pool = self.active(pool_id)
        if pool.allocation is AllocationState.STEADY:
            raise Refused("OperationInvalidForCurrentState", values=(("Reason", "The pool is not being resized"),))
        self._move(pool, AllocationState.STOPPING)
        pool.resize_errors.append(
            ("ResizeStopped", "Desired number of nodes could not be allocated due to a stop resize operation")
        )
        self._give_up(pool)
        pool.target_dedicated = pool.current(dedicated=True)
        pool.target_low_priority = pool.current(dedicated=False)
        self._world.revise(pool)

    def settle(self, pool: Pool) -> None:
        """A resize is over when nothing arrives and nothing leaves; a deleted pool is over when it is
        empty."""
        if pool.arriving or any(node.leaving is not None for node in pool.nodes.values()):
            return
        if pool.state is PoolState.DELETING:
            if not pool.nodes:
                self._bury(pool)
            return
        if pool.allocation is not AllocationState.STEADY:
            self._move(pool, AllocationState.STEADY)
            if pool.resize_deadline is not None:
                pool.resize_deadline.cancel()
            pool.resize_deadline = None
            pool.resize_deadline_at = None

    def delete(self, pool_id: str) -> None:
        pool = self.active(pool_id)
        world = self._world
        pool.state, pool.state_at = PoolState.DELETING, world.now
        world.autoscaler.stop(pool)
        for allocation in tuple(pool.arriving):
            self._cancel(pool, allocation)
        pool.target_dedicated = pool.target_low_priority = 0
        if pool.nodes:
            self._move(pool, AllocationState.RESIZING)
        world.revise(pool)
        for node in tuple(pool.nodes.values()):
            world.node_rules.leave(node, Deallocation.REQUEUE)
        self.settle(pool)

    def _bury(self, pool: Pool) -> None:
        world = self._world
        if world.pools.get(pool.id.lower()) is not pool:
            return
        if pool.resize_deadline is not None:
            pool.resize_deadline.cancel()
        del world.pools[pool.id.lower()]
        world.unsettled.pop(pool.id, None)
        world.forget(pool)

    def remove_nodes(self, pool_id: str, node_ids: tuple[str, ...], *, option: Deallocation, timeout: float) -> None:
        pool = self.active(pool_id)
        if pool.allocation is not AllocationState.STEADY:
            raise Refused("PoolBeingResized")
        if not 1 <= len(node_ids) <= 100:
            raise invalid_property("nodeList", len(node_ids), "1 to 100 nodes can be removed at a time")
        nodes = [self._world.node(pool_id, node_id) for node_id in node_ids]
        pool.resize_errors = []
        pool.target_dedicated -= sum(1 for n in nodes if n.dedicated)
        pool.target_low_priority -= sum(1 for n in nodes if not n.dedicated)
        pool.target_dedicated = max(0, pool.target_dedicated)
        pool.target_low_priority = max(0, pool.target_low_priority)
        self._move(pool, AllocationState.RESIZING)
        self._world.revise(pool)
        for node in nodes:
            self._world.node_rules.leave(node, option)
        self._arm_deadline(pool, timeout)
        self.settle(pool)

    def _move(self, pool: Pool, state: AllocationState) -> None:
        if pool.allocation is not state:
            pool.allocation, pool.allocation_at = state, self._world.now
        self._world.save(pool)
