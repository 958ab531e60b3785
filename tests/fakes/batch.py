"""A Batch service in memory, with the rules that the stages lean on, and a gate that every operation passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from pipeline.batch import (
    Added,
    Health,
    JobEndedError,
    JobMissingError,
    JobView,
    Pool,
    TaskCounts,
    TaskSpec,
    TaskView,
)
from pipeline.pool_health import NodeView
from tests.fakes.storage import Gate, open_gate

T = TypeVar("T")


@dataclass
class FakeJob:
    """A job and its tasks."""

    view: JobView
    tasks: dict[str, TaskView] = field(default_factory=dict)
    specs: dict[str, TaskSpec] = field(default_factory=dict)


class FakeBatch:
    """See `pipeline.batch.Batch`. Tests end tasks with `finish`, and play the person who deletes jobs."""

    def __init__(self, *, gate: Gate = open_gate, clock: Callable[[], datetime] | None = None) -> None:
        self.found: Pool | None = Pool(id="darkroom", state="active", allocation_state="steady", autoscale_enabled=True)
        self.job_table: dict[str, FakeJob] = {}
        self.health = Health(dedicated={}, low_priority={})
        self.node_views: list[NodeView] = []
        self.done: list[str] = []
        self.refuse: dict[str, str] = {}
        """Codes with which a task is refused, by id."""
        self._gate = gate
        self._clock = clock or (lambda: datetime.now(UTC))

    def finish(self, task: str, *, succeeded: bool = True, failure: str = "") -> None:
        """A task ends, wherever it is."""
        for job in self.job_table.values():
            if task in job.tasks:
                exit_code = 0 if succeeded else 1
                job.tasks[task] = TaskView(
                    id=task, state="completed", succeeded=succeeded, exit_code=exit_code, failure=failure, node="node-1"
                )

    def all_tasks(self) -> list[str]:
        """Ids of all tasks of all jobs, repeats included."""
        return sorted(task for job in self.job_table.values() for task in job.tasks)

    async def pool(self) -> Pool | None:
        return await self._pass("get pool", lambda: self.found)

    async def create_pool(self, formula: str, interval: float) -> None:
        def act() -> None:
            if self.found is None:
                self.found = Pool(
                    id="darkroom",
                    state="active",
                    allocation_state="steady",
                    autoscale_enabled=True,
                    formula=formula,
                    interval=interval,
                )

        await self._pass("create pool", act)

    async def node_counts(self) -> Health:
        return await self._pass("count nodes", lambda: self.health)

    async def nodes(self) -> Sequence[NodeView]:
        return await self._pass("list nodes", lambda: list(self.node_views))

    async def enable_autoscale(self, formula: str, interval: float) -> None:
        def act() -> None:
            assert self.found is not None
            self.found = replace(self.found, formula=formula, interval=interval, autoscale_enabled=True)
            self.done.append("enable")

        await self._pass("enable autoscale", act)

    async def disable_autoscale(self) -> None:
        def act() -> None:
            assert self.found is not None
            self.found = replace(self.found, autoscale_enabled=False)
            self.done.append("disable")

        await self._pass("disable autoscale", act)

    async def stop_resize(self) -> None:
        await self._pass("stop resize", lambda: self.done.append("stop"))

    async def remove_nodes(self, ids: Sequence[str]) -> None:
        await self._pass("remove nodes", lambda: self.done.append(f"remove {sorted(ids)}"))

    async def create_job(self, job: str) -> None:
        def act() -> None:
            view = JobView(id=job, state="active", created=self._clock())
            known = self.job_table.setdefault(job, FakeJob(view))
            if known.view.ended:
                raise JobEndedError(job)

        await self._pass(f"create job {job}", act)

    async def job(self, job: str) -> JobView | None:
        return await self._pass(f"get job {job}", lambda: self.job_table[job].view if job in self.job_table else None)

    async def jobs(self) -> Sequence[JobView]:
        return await self._pass("list jobs", lambda: [job.view for job in self.job_table.values()])

    async def end_job(self, job: str) -> None:
        def act() -> None:
            if job in self.job_table:
                self.job_table[job].view = replace(self.job_table[job].view, state="completed")

        await self._pass(f"end job {job}", act)

    async def delete_job(self, job: str) -> None:
        await self._pass(f"delete job {job}", lambda: self.job_table.pop(job, None))

    async def add_tasks(self, job: str, tasks: Sequence[TaskSpec]) -> Added:
        def act() -> Added:
            known = self._job(job)
            if known.view.ended:
                raise JobEndedError(job)
            added = [task for task in tasks if task.id not in self.refuse]
            for task in added:
                known.tasks.setdefault(task.id, TaskView(id=task.id, state="active"))
                known.specs.setdefault(task.id, task)
            refused = {task.id: self.refuse[task.id] for task in tasks if task.id in self.refuse}
            return Added(tasks=tuple(task.id for task in added), refused=refused)

        return await self._pass(f"add tasks to {job}", act)

    async def tasks(self, job: str, *, since: datetime) -> Mapping[str, TaskView]:
        del since
        return await self._pass(f"list tasks of {job}", lambda: dict(self._job(job).tasks))

    async def task(self, job: str, task: str) -> TaskView | None:
        def act() -> TaskView | None:
            return self.job_table[job].tasks.get(task) if job in self.job_table else None

        return await self._pass(f"get task {job}/{task}", act)

    async def task_counts(self, job: str) -> TaskCounts:
        def act() -> TaskCounts:
            states = [task.state for task in self._job(job).tasks.values()]
            return TaskCounts(active=states.count("active"), running=states.count("running"))

        return await self._pass(f"count tasks of {job}", act)

    def _job(self, job: str) -> FakeJob:
        if job not in self.job_table:
            raise JobMissingError(job)
        return self.job_table[job]

    async def _pass(self, label: str, operation: Callable[[], T]) -> T:
        return await self._gate(label, operation)
