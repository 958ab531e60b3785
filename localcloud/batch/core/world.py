"""The ground that the parts of an account share: clock, timers, seeded randomness, what changed, what is to
be done."""

from random import Random
from typing import TYPE_CHECKING

from localcloud.batch.core.effects import Effect
from localcloud.batch.core.entities import Job, Node, Pool, Revision, Run, Schedule, Task
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.policies import NodeModel, Quotas
from localcloud.batch.core.timers import Timers

if TYPE_CHECKING:
    from localcloud.batch.core.autoscaler import Autoscaler
    from localcloud.batch.core.dispatcher import Dispatcher
    from localcloud.batch.core.fleet import Fleet
    from localcloud.batch.core.jobs import Jobs
    from localcloud.batch.core.nodes import Nodes
    from localcloud.batch.core.schedules import Schedules
    from localcloud.batch.core.tasks import Tasks
    from localcloud.batch.core.work import Work

Entity = Pool | Node | Job | Task | Schedule


class World:
    """State of one account and the services that its rules need. The rules live in `Fleet`, `Work`, `Jobs`,
    ..."""

    fleet: "Fleet"
    dispatcher: "Dispatcher"
    node_rules: "Nodes"
    work: "Work"
    task_rules: "Tasks"
    job_rules: "Jobs"
    schedule_rules: "Schedules"
    autoscaler: "Autoscaler"

    def __init__(self, *, name: str, now: float, seed: int, nodes: NodeModel, quotas: Quotas, tracked: bool) -> None:
        self.name = name
        self.now = now
        self.rng = Random(seed)  # noqa: S311 - a simulation must repeat
        self.model = nodes
        self.quotas = quotas
        self.timers = Timers()
        self.effects: list[Effect] = []
        self.pools: dict[str, Pool] = {}
        self.jobs: dict[str, Job] = {}
        self.schedules: dict[str, Schedule] = {}
        self.runs: dict[int, Run] = {}
        self.unsettled: dict[str, Pool] = {}
        self.changed: dict[int, Entity] = {}
        self.removed: list[Entity] = []
        self._tracked = tracked
        self._revisions = 0
        self._run_ids = 0

    def revision(self) -> Revision:
        self._revisions += 1
        return Revision(created_at=self.now, modified_at=self.now, number=self._revisions)

    def revise(self, entity: Pool | Job | Task | Schedule) -> None:
        """The user-visible definition or state changed: a new ETag."""
        self._revisions += 1
        entity.revision.modified_at = self.now
        entity.revision.number = self._revisions
        self.save(entity)

    def save(self, entity: Entity) -> None:
        """Something about the entity changed that must survive a restart."""
        if self._tracked:
            self.changed[id(entity)] = entity

    def forget(self, entity: Entity) -> None:
        if self._tracked:
            self.changed.pop(id(entity), None)
            self.removed.append(entity)

    def run_id(self) -> int:
        self._run_ids += 1
        return self._run_ids

    def serials(self) -> tuple[int, int]:
        return self._revisions, self._run_ids

    def continue_from(self, revisions: int, run_ids: int) -> None:
        """After a restart: numbers go on where they were."""
        self._revisions = max(self._revisions, revisions)
        self._run_ids = max(self._run_ids, run_ids)

    def unsettle(self, pool: Pool | None) -> None:
        """Tasks and free nodes of this pool may have to meet."""
        if pool is not None:
            self.unsettled[pool.id] = pool

    def pool(self, pool_id: str) -> Pool:
        pool = self.pools.get(pool_id.lower())
        if pool is None:
            raise Refused("PoolNotFound")
        return pool

    def node(self, pool_id: str, node_id: str) -> Node:
        node = self.pool(pool_id).nodes.get(node_id.lower())
        if node is None:
            raise Refused("NodeNotFound")
        return node

    def job(self, job_id: str) -> Job:
        job = self.jobs.get(job_id.lower())
        if job is None:
            raise Refused("JobNotFound")
        return job

    def task(self, job_id: str, task_id: str) -> Task:
        task = self.job(job_id).tasks.get(task_id.lower())
        if task is None:
            raise Refused("TaskNotFound")
        return task

    def pool_of(self, job: Job) -> Pool | None:
        return self.pools.get(job.pool_id.lower())
