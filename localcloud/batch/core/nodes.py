"""The life of a node: creating, starting, start task, ready, preempted, rebooting, leaving."""

from localcloud.batch.core.effects import Exit, Failure, Launch, NodeGone, Stop
from localcloud.batch.core.entities import Execution, Node, Pool, Run, StopReason
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.orders import Orders
from localcloud.batch.core.specs import FOREVER
from localcloud.batch.core.states import NODE_MOVES, Deallocation, NodeState, RunKind
from localcloud.batch.core.world import World

TASK_ENDED = Failure(category="usererror", code="TaskEnded", message="Task Was Ended by User Request")
_MAINTENANCE = {
    "reboot": NodeState.REBOOTING,
    "reimage": NodeState.REIMAGING,
    "deallocate": NodeState.DEALLOCATING,
}
_BUSY_WITH_ITSELF = {
    NodeState.CREATING: "NodeBeingCreated",
    NodeState.STARTING: "NodeBeingStarted",
    NodeState.REBOOTING: "NodeBeingRebooted",
    NodeState.REIMAGING: "NodeBeingReimaged",
}
_WITHOUT_VM = frozenset({NodeState.PREEMPTED, NodeState.DEALLOCATING, NodeState.DEALLOCATED, NodeState.LEAVING_POOL})


class Nodes:
    """What happens to nodes, one at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.slow_boots: Orders[float] = Orders()
        """Seconds that a node takes longer to be created."""
        self.failing_start_tasks: Orders[Failure] = Orders()
        """How a start task fails, whatever it would have done."""

    # --- birth ---

    def appear(self, pool: Pool, *, dedicated: bool) -> Node:
        """A VM was obtained: its node is in the pool and is paid for from now on."""
        world = self._world
        serial = world.run_id()
        draw = world.rng.getrandbits(64)
        node = Node(
            id=f"tvm-{draw & 0xFFFFFFFF:010d}_{serial}-{'d' if dedicated else 'p'}",
            pool=pool,
            serial=serial,
            dedicated=dedicated,
            state=NodeState.CREATING,
            state_at=world.now,
            allocated_at=world.now,
            booted_at=world.now,
            slots_since=world.now,
            slots_free=pool.spec.task_slots_per_node,
            address=f"10.{serial >> 16 & 255}.{serial >> 8 & 255}.{serial & 255}",
        )
        pool.nodes[node.id.lower()] = node
        self._create(node)
        return node

    def _create(self, node: Node) -> None:
        world = self._world
        if not node.dedicated:
            life = world.model.preempted_after(pool_id=node.pool.id, now=world.now, rng=world.rng)
            if life is not None:
                node.doom_at = world.now + life
        node.phase_at = world.now + world.model.creating_seconds(world.rng)
        node.phase_at += self.slow_boots.take(node.pool) or 0.0
        self.arm(node)
        world.save(node)

    def arm(self, node: Node) -> None:
        """Set the node's timers from what it says about itself."""
        timers = self._world.timers
        for timer in (node.phase, node.doom):
            if timer is not None:
                timer.cancel()
        node.phase = None if node.phase_at is None else timers.at(node.phase_at, self._next_phase, node)
        node.doom = None if node.doom_at is None else timers.at(node.doom_at, self.preempt, node)

    def _next_phase(self, node: Node) -> None:
        world = self._world
        node.phase = node.phase_at = None
        match node.state:
            case NodeState.CREATING | NodeState.REBOOTING | NodeState.REIMAGING:
                self._move(node, NodeState.STARTING)
                node.phase_at = world.now + world.model.starting_seconds(world.rng)
            case NodeState.STARTING:
                self._booted(node)
                return
            case NodeState.PREEMPTED:
                if node.runs or node.start_run is not None:
                    node.phase_at = world.now + 1.0  # its old processes are still going
                else:
                    node.preempted_seconds += world.now - node.state_at
                    self._move(node, NodeState.CREATING)
                    self._create(node)
                    return
            case NodeState.DEALLOCATING:
                self._move(node, NodeState.DEALLOCATED)
            case NodeState.LEAVING_POOL:
                self._quiet(node)
                return
        if node.phase_at is not None:
            node.phase = world.timers.at(node.phase_at, self._next_phase, node)
        world.save(node)

    def _booted(self, node: Node) -> None:
        world = self._world
        node.booted_at = world.now
        spec = node.pool.spec.start_task
        failure = self.failing_start_tasks.take(node.pool)
        if failure is not None:
            node.start_task = Execution(started_at=world.now, ended_at=world.now, exit_code=1, failure=failure)
            node.start_task_state = "completed"
            self._move(node, NodeState.START_TASK_FAILED)
            return
        if spec is None:
            self._ready(node)
            return
        node.start_task = Execution(started_at=world.now)
        self._launch_start_task(node)
        if spec.wait_for_success:
            self._move(node, NodeState.WAITING_FOR_START_TASK)
        else:
            self._ready(node)

    def _launch_start_task(self, node: Node) -> None:
        world = self._world
        run = Run(id=world.run_id(), kind=RunKind.START_TASK, node=node, launched=True)
        node.start_task_state = "running"
        node.start_run = run
        world.runs[run.id] = run
        world.effects.append(Launch(run))
        spec = node.pool.spec.start_task
        if spec is not None and spec.command.max_wall_clock < FOREVER:
            run.deadline = world.timers.at(world.now + spec.command.max_wall_clock, self._stop, run)
        world.save(node)

    def start_task_finished(self, run: Run, end: Exit) -> None:
        world = self._world
        node = run.node
        if node.start_run is not run:
            return
        node.start_run = None
        execution, spec = node.start_task, node.pool.spec.start_task
        if run.stop is not None or execution is None or spec is None:
            self._quiet(node)
            return
        if end.stage == "lost":
            self._launch_start_task(node)
            return
        execution.exit_code = end.code
        execution.failure = end.failure or exit_failure(end)
        limit = spec.command.max_retries or 0
        if execution.failure is not None and (limit < 0 or execution.retries < limit):
            execution.retries += 1
            execution.last_retry_at = world.now
            self._launch_start_task(node)
            return
        execution.ended_at = world.now
        node.start_task_state = "completed"
        if node.state is NodeState.WAITING_FOR_START_TASK:
            if execution.failure is None:
                self._ready(node)
            else:
                self._move(node, NodeState.START_TASK_FAILED)
        world.save(node)

    def _ready(self, node: Node) -> None:
        if node.usable_at is None:
            node.usable_at = self._world.now
        self._move(node, NodeState.IDLE if node.scheduling else NodeState.OFFLINE)

    # --- work ---

    def occupy(self, node: Node, run: Run) -> None:
        """A run takes its slots."""
        now = self._world.now
        node.slot_seconds += node.slots_used * (now - node.slots_since)
        node.slots_since = now
        node.slots_free -= run.slots
        node.runs[run.id] = run
        if run.kind is RunKind.TASK and node.busy_since is None:
            node.busy_since = now
        if node.state is NodeState.IDLE:
            self._move(node, NodeState.RUNNING)
        else:
            self._world.dispatcher.index(node)

    def release(self, node: Node, run: Run) -> None:
        """A run gives its slots back; a node that waited for that goes on."""
        now = self._world.now
        node.slot_seconds += node.slots_used * (now - node.slots_since)
        node.slots_since = now
        node.slots_free += run.slots
        node.runs.pop(run.id, None)
        if not node.runs:
            if node.busy_since is not None:
                node.busy_seconds += now - node.busy_since
                node.busy_since = None
            if node.state is NodeState.RUNNING and node.pending is None:
                self._move(node, NodeState.IDLE if node.scheduling else NodeState.OFFLINE)
        self._world.dispatcher.index(node)
        self._world.save(node)
        if not node.runs:
            self._quiet(node)

    # --- leaving ---

    def leave(self, node: Node, option: Deallocation) -> None:
        """The node goes, as soon as `option` allows."""
        if node.leaving is not None and option in (Deallocation.TASK_COMPLETION, Deallocation.RETAINED_DATA):
            return
        had_vm = node.state not in _WITHOUT_VM
        self._account_preempted(node)
        node.leaving = option
        node.pending = None
        self._cancel_timers(node)
        if node.state is not NodeState.LEAVING_POOL:
            self._move(node, NodeState.LEAVING_POOL)
        self._stop_start_task(node)
        if had_vm:
            self._stop_runs(node, option)
        self._quiet(node)

    def stay(self, node: Node) -> None:
        """The removal was given up before it took place."""
        node.leaving = None
        node.phase_at = None
        if node.state is NodeState.LEAVING_POOL:
            state = NodeState.RUNNING if node.runs else NodeState.IDLE
            node.state, node.state_at = state, self._world.now
        self._world.dispatcher.index(node)
        self._world.save(node)

    def _quiet(self, node: Node) -> None:
        """No run is left on the node: do what waited for that."""
        if node.runs or node.start_run is not None:
            return
        world = self._world
        if node.leaving is not None:
            if node.leaving is Deallocation.RETAINED_DATA and node.retained_until > world.now:
                if node.phase is None:
                    node.phase_at = node.retained_until
                    self.arm(node)
                return
            self._remove(node)
        elif node.state is NodeState.PREEMPTED:
            world.effects.append(NodeGone(node.pool.id, node.id, None))
        elif node.pending is not None:
            self._maintain(node)

    def _remove(self, node: Node) -> None:
        world = self._world
        self._cancel_timers(node)
        world.dispatcher.index(node)
        if node.pool.nodes.pop(node.id.lower(), None) is None:
            return
        world.work.node_lost(node)
        world.forget(node)
        world.effects.append(NodeGone(node.pool.id, node.id, node.record(world.now, removed=True)))
        world.fleet.settle(node.pool)

    def preempt(self, node: Node) -> None:
        """The VM is taken away. The id stays; tasks go back to the queue, which does not count as a retry."""
        world = self._world
        if node.dedicated or node.state in _WITHOUT_VM:
            return
        self._cancel_timers(node)
        node.pending = None
        node.errors = []
        self._move(node, NodeState.PREEMPTED)
        self._stop_start_task(node)
        self._stop_runs(node, Deallocation.REQUEUE)
        world.work.node_lost(node)
        back = world.model.restored_after(pool_id=node.pool.id, now=world.now, rng=world.rng)
        node.phase_at = None if back is None else world.now + back
        self.arm(node)
        world.save(node)
        self._quiet(node)

    def spoil(self, node: Node, failure: Failure) -> None:
        """The service loses hold of the node: it is `unusable`, and its tasks go back to the queue. It stays so until
        it is removed, or its VM is taken away."""
        if node.state in _WITHOUT_VM or node.state is NodeState.UNUSABLE:
            return
        if node.phase is not None:
            node.phase.cancel()
        node.phase = node.phase_at = None
        node.pending = None
        node.errors = [failure]
        self._move(node, NodeState.UNUSABLE)
        self._stop_start_task(node)
        self._stop_runs(node, Deallocation.REQUEUE)
        self._world.work.node_lost(node)
        self._world.save(node)

    # --- maintenance ---

    def maintain(self, node: Node, what: str, option: Deallocation) -> None:
        """reboot, reimage or deallocate, when its tasks are gone as `option` says."""
        self._refuse_if_busy_with_itself(node)
        if node.state in _WITHOUT_VM:
            raise Refused("OperationNotValidOnNode")
        node.pending = what
        self._world.dispatcher.index(node)
        self._stop_start_task(node)
        self._stop_runs(node, option)
        self._world.save(node)
        self._quiet(node)

    def _maintain(self, node: Node) -> None:
        world = self._world
        what, node.pending = node.pending, None
        if what == "offline" or what is None:
            if node.state in (NodeState.IDLE, NodeState.RUNNING):
                self._move(node, NodeState.OFFLINE)
            return
        self._move(node, _MAINTENANCE[what])
        world.work.node_restarted(node, wiped=what != "reboot")
        if what != "reboot":
            world.effects.append(NodeGone(node.pool.id, node.id, None))
        node.phase_at = world.now + world.model.restarting_seconds(world.rng, reimage=what != "reboot")
        self.arm(node)
        world.save(node)

    def start(self, node: Node) -> None:
        """Start a deallocated node."""
        if node.state is not NodeState.DEALLOCATED:
            raise Refused("OperationNotValidOnNode", values=(("Reason", "The node is not deallocated"),))
        self._move(node, NodeState.STARTING)
        node.phase_at = self._world.now + self._world.model.starting_seconds(self._world.rng)
        self.arm(node)

    def recover(self, node: Node) -> None:
        """After a restart, with no process left: go on with what was planned."""
        self._world.dispatcher.index(node)
        if node.state is NodeState.STARTING and node.phase_at is None:
            node.phase_at = self._world.now
        self.arm(node)
        if node.state is not NodeState.PREEMPTED:
            self._quiet(node)

    def disable_scheduling(self, node: Node, option: Deallocation) -> None:
        if not node.scheduling:
            raise Refused("NodeAlreadyInTargetSchedulingState")
        self._refuse_if_busy_with_itself(node)
        node.scheduling = False
        node.pending = "offline"
        self._world.dispatcher.index(node)
        self._stop_runs(node, option)
        self._world.save(node)
        self._quiet(node)

    def enable_scheduling(self, node: Node) -> None:
        if node.scheduling:
            raise Refused("NodeAlreadyInTargetSchedulingState")
        node.scheduling = True
        if node.pending == "offline":
            node.pending = None
        if node.state is NodeState.OFFLINE:
            self._move(node, NodeState.RUNNING if node.runs else NodeState.IDLE)
        self._world.dispatcher.index(node)
        self._world.save(node)

    def _refuse_if_busy_with_itself(self, node: Node) -> None:
        if node.state is NodeState.UNUSABLE:
            raise Refused("NodeStateUnusable")
        code = _BUSY_WITH_ITSELF.get(node.state)
        if code is not None:
            raise Refused(code)
        if node.leaving is not None:
            raise Refused("OperationNotValidOnNode", values=(("Reason", "The node is leaving the pool"),))

    # --- ground ---

    def _stop_runs(self, node: Node, option: Deallocation) -> None:
        if option in (Deallocation.TASK_COMPLETION, Deallocation.RETAINED_DATA):
            return
        reason = (
            StopReason(requeue=True)
            if option is Deallocation.REQUEUE
            else StopReason(requeue=False, failure=TASK_ENDED)
        )
        for run in tuple(node.runs.values()):
            self._world.work.stop(run, reason)

    def _stop_start_task(self, node: Node) -> None:
        if node.start_run is not None and node.start_run.stop is None:
            node.start_run.stop = StopReason(requeue=True)
            self._stop(node.start_run)

    def _stop(self, run: Run) -> None:
        if run.deadline is not None:
            run.deadline.cancel()
            run.deadline = None
        self._world.effects.append(Stop(run.id))

    def _account_preempted(self, node: Node) -> None:
        if node.state is NodeState.PREEMPTED:
            node.preempted_seconds += self._world.now - node.state_at

    def _cancel_timers(self, node: Node) -> None:
        for timer in (node.phase, node.doom):
            if timer is not None:
                timer.cancel()
        node.phase = node.doom = None
        node.phase_at = node.doom_at = None

    def _move(self, node: Node, state: NodeState) -> None:
        if state not in NODE_MOVES[node.state]:
            raise RuntimeError(f"node {node.id}: {node.state} cannot become {state}")
        node.state, node.state_at = state, self._world.now
        self._world.dispatcher.index(node)
        self._world.save(node)


ORDERED_FAILURE = Failure(
    category="usererror",
    code="FailureExitCode",
    message="The task exited with an exit code representing a failure",
    details=(("Message", "The start task was made to fail on request"),),
)


def exit_failure(end: Exit) -> Failure | None:
    """Batch's failureInfo for a nonzero exit code."""
    if end.code == 0:
        return None
    return Failure(
        category="usererror",
        code="FailureExitCode",
        message="The task exited with an exit code representing a failure",
        details=(("Message", "The task exited with an exit code representing a failure"),),
    )
