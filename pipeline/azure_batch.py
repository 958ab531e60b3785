"""The real `Batch`: azure-batch's asynchronous client, with its errors told apart.

Bulk adds go through `create_task_collection` in groups of at most 100 (the service's limit): the SDK's own
`create_tasks` repeats what the server refuses without an end.
https://learn.microsoft.com/rest/api/batchservice/task/add-collection
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.batch import models as m
from azure.batch.aio import BatchClient
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from pipeline.batch import (
    Added,
    BatchConflictError,
    BatchRefusedError,
    BatchUnavailableError,
    Health,
    JobEndedError,
    JobMissingError,
    JobView,
    Pool,
    PoolMissingError,
    QuotaReachedError,
    TaskCounts,
    TaskSpec,
    TaskView,
)
from pipeline.dated_pool import get_dated_pool
from pipeline.pool_health import NodeView
from pipeline.task_form import TaskForm
from shared.app_settings import PoolSettings

GROUP = 100
_ENDED = {"JobCompleted", "JobBeingTerminated", "JobTerminating", "JobBeingDeleted", "JobNotActive"}
_TOO_SOON = {"TooManyEnableAutoScaleRequests"}
"""Batch takes a formula every 30 seconds: the next dispatch asks again."""
_QUOTA = "QuotaReached"
_NODE_STATES = (
    "creating",
    "idle",
    "offline",
    "preempted",
    "rebooting",
    "reimaging",
    "running",
    "starting",
    "start_task_failed",
    "leaving_pool",
    "unknown",
    "unusable",
    "waiting_for_start_task",
    "deallocated",
    "deallocating",
    "upgrading_os",
)


class AzureBatch:
    """One pool of a Batch account (or of the local Batch service)."""

    def __init__(self, client: BatchClient, *, pool_id: str, settings: PoolSettings, form: TaskForm) -> None:
        self._client = client
        self._pool_id = pool_id
        self._settings = settings
        self._form = form

    async def pool(self) -> Pool | None:
        try:
            with self._errors(f"look at pool {self._pool_id}"):
                found, served = await get_dated_pool(self._client, self._pool_id)
                return replace(_pool(found), served=served)
        except PoolMissingError:
            return None

    async def create_pool(self, formula: str, interval: float) -> None:
        pool = m.BatchPoolCreateOptions(
            id=self._pool_id,
            vm_size=self._settings.vm_size,
            virtual_machine_configuration=m.VirtualMachineConfiguration(
                image_reference=m.BatchVmImageReference(
                    publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2204", version="latest"
                ),
                node_agent_sku_id="batch.node.ubuntu 22.04",
            ),
            task_slots_per_node=self._settings.slots_per_node,
            task_scheduling_policy=m.BatchTaskSchedulingPolicy(node_fill_type=m.BatchNodeFillType.PACK),
            enable_auto_scale=True,
            auto_scale_formula=formula,
            auto_scale_evaluation_interval=timedelta(seconds=interval),
        )
        with self._errors(f"create pool {self._pool_id}", fine=("PoolExists",)):
            await self._client.create_pool(pool)

    async def node_counts(self) -> Health:
        with self._errors(f"count the nodes of pool {self._pool_id}"):
            counts = self._client.list_pool_node_counts(filter=f"poolId eq '{self._pool_id}'")
            async for pool in counts:
                return Health(dedicated=_states(pool.dedicated), low_priority=_states(pool.low_priority))
        return Health(dedicated={}, low_priority={})

    async def nodes(self) -> Sequence[NodeView]:
        with self._errors(f"list the nodes of pool {self._pool_id}"):
            listing = self._client.list_nodes(self._pool_id, select=["id", "state", "stateTransitionTime"])
            return [
                NodeView(
                    id=str(node.id),
                    state=_word(node.state),
                    since=node.state_transition_time.timestamp() if node.state_transition_time else 0.0,
                )
                async for node in listing
            ]

    async def enable_autoscale(self, formula: str, interval: float) -> None:
        options = m.BatchPoolEnableAutoScaleOptions(
            auto_scale_formula=formula, auto_scale_evaluation_interval=timedelta(seconds=interval)
        )
        with self._errors(f"set the formula of pool {self._pool_id}"):
            await self._client.enable_pool_auto_scale(self._pool_id, options)

    async def disable_autoscale(self) -> None:
        with self._errors(f"disable autoscale of pool {self._pool_id}"):
            await self._client.disable_pool_auto_scale(self._pool_id)

    async def stop_resize(self) -> None:
        with self._errors(f"stop the resize of pool {self._pool_id}"):
            # The poller would wait for the end; the next dispatch looks again.
            await self._client.begin_stop_pool_resize(self._pool_id, polling_interval=0)

    async def remove_nodes(self, ids: Sequence[str]) -> None:
        options = m.BatchNodeRemoveOptions(
            node_ids=list(ids), node_deallocation_option=m.BatchNodeDeallocationOption.REQUEUE
        )
        with self._errors(f"remove nodes of pool {self._pool_id}"):
            await self._client.begin_remove_nodes(self._pool_id, options, polling_interval=0)

    async def create_job(self, job: str) -> None:
        options = m.BatchJobCreateOptions(id=job, pool_info=m.BatchPoolInfo(pool_id=self._pool_id))
        existed = True
        with self._errors(f"create job {job}", fine=("JobExists",)):
            await self._client.create_job(options)
            existed = False
        if not existed:
            return
        # It exists; or, after a throttled request, it may be told to exist and not be there.
        found = await self.job(job)
        if found is None:
            raise BatchUnavailableError(f"job {job} was said to exist, and does not: asked again later")
        if found.ended:
            raise JobEndedError(f"job {job} is {found.state}")

    async def job(self, job: str) -> JobView | None:
        try:
            with self._errors(f"look at job {job}"):
                return _job(await self._client.get_job(job, select=["id", "state", "creationTime"]))
        except JobMissingError:
            return None

    async def jobs(self) -> Sequence[JobView]:
        prefix = f"{self._pool_id}-"
        with self._errors("list jobs"):
            listing = self._client.list_jobs(
                filter=f"startswith(id,'{prefix}')", select=["id", "state", "creationTime", "poolInfo"]
            )
            # Ids are compared without case by the service, and another pool's name may begin with this one's.
            return [
                _job(job)
                async for job in listing
                if job.pool_info is not None and job.pool_info.pool_id == self._pool_id
            ]

    async def end_job(self, job: str) -> None:
        with self._errors(f"end job {job}", fine=(*_ENDED, "JobNotFound")):
            # Without options the SDK (15.1) fails before it asks, and their class is not public: a mapping will do.
            options: Any = {"terminateReason": "DayIsOver"}
            await self._client.begin_terminate_job(job, options, polling_interval=0)

    async def delete_job(self, job: str) -> None:
        with self._errors(f"delete job {job}", fine=("JobNotFound", "JobBeingDeleted")):
            await self._client.begin_delete_job(job, polling_interval=0)

    async def add_tasks(self, job: str, tasks: Sequence[TaskSpec]) -> Added:
        added: list[str] = []
        refused: dict[str, str] = {}
        groups = [list(tasks[start : start + GROUP]) for start in range(0, len(tasks), GROUP)]
        while groups:
            group = groups.pop(0)
            body = m.BatchTaskGroup(task_values=[self._form.task(task) for task in group])
            try:
                with self._errors(f"add {len(group)} tasks to job {job}"):
                    answer = await self._client.create_task_collection(job, body)
            except BatchRefusedError as error:
                if error.code != "RequestBodyTooLarge" or len(group) == 1:
                    raise
                half = len(group) // 2
                groups[:0] = [group[:half], group[half:]]
                continue
            for result in answer.result_values or []:
                code = result.error.code if result.error else ""
                if _word(result.status) == "success" or code == "TaskExists":
                    added.append(str(result.task_id))
                else:
                    refused[str(result.task_id)] = code or "unknown"
        if refused and set(refused.values()) <= _ENDED:
            raise JobEndedError(f"job {job} takes no more tasks: {sorted(set(refused.values()))}")
        return Added(tasks=tuple(added), refused=refused)

    async def tasks(self, job: str, *, since: datetime) -> Mapping[str, TaskView]:
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._errors(f"list the tasks of job {job}"):
            listing = self._client.list_tasks(
                job,
                # Every task made since then has also come to its state since then.
                filter=f"stateTransitionTime ge DateTime'{moment}'",
                select=["id", "state", "executionInfo", "nodeInfo"],
            )
            return {str(task.id): _task(task) async for task in listing}

    async def task(self, job: str, task: str) -> TaskView | None:
        try:
            with self._errors(f"look at task {job}/{task}"):
                return _task(
                    await self._client.get_task(job, task, select=["id", "state", "executionInfo", "nodeInfo"])
                )
        except JobMissingError:
            return None

    async def task_counts(self, job: str) -> TaskCounts:
        with self._errors(f"count the tasks of job {job}"):
            counts = (await self._client.get_job_task_counts(job)).task_counts
        return TaskCounts(
            active=counts.active, running=counts.running, succeeded=counts.succeeded, failed=counts.failed
        )

    async def task_file(self, job: str, task: str, name: str, *, last: int) -> tuple[bytes, int] | None:
        """The last bytes of a task's file and its whole size; None where it is not to be had (its node is gone)."""
        with self._errors(f"read {name} of task {job}/{task}"):
            try:
                size = (await self._client.get_task_file_properties(job, task, name)).content_length
                if size == 0:
                    return b"", 0
                part = f"bytes={max(0, size - last)}-{size - 1}"
                stream = await self._client.download_task_file(job, task, name, ocp_range=part)
                return b"".join([chunk async for chunk in stream]), size
            except HttpResponseError as error:
                if error.status_code in (404, 409):
                    return None
                raise

    @contextmanager
    def _errors(self, what: str, *, fine: Sequence[str] = ()) -> Iterator[None]:
        try:
            yield
        except HttpResponseError as error:
            if _code(error) not in fine:
                raise _translated(error, what) from error
        except AzureError as error:
            raise BatchUnavailableError(f"Batch did not answer: could not {what}: {error}") from error


def _translated(error: HttpResponseError, what: str) -> Exception:
    code, status = _code(error), error.status_code or 0
    message = f"could not {what}: {status} {code}: {_sentence(error)}"
    if code == "PoolNotFound":
        return PoolMissingError(message)
    if code in ("JobNotFound", "TaskNotFound") or (isinstance(error, ResourceNotFoundError) and status == 404):
        return JobMissingError(message)
    if code in _ENDED:
        return JobEndedError(message)
    if _QUOTA in code:
        return QuotaReachedError(f"{message} Ask for a higher quota, or end what is not needed.", code=code)
    if status == 409 or code in _TOO_SOON:
        return BatchConflictError(message)
    if status in (408, 429) or status >= 500:
        return BatchUnavailableError(message, retry_after=_retry_after(error))
    return BatchRefusedError(message, code=code)


def _code(error: HttpResponseError) -> str:
    return str(getattr(error.model, "code", "") or "")


def _sentence(error: HttpResponseError) -> str:
    message = getattr(error.model, "message", None)
    value = str(getattr(message, "value", "") or error.reason or "")
    return value.split("\n", maxsplit=1)[0]


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return None


def _word(value: Any) -> str:
    """An enumeration's value as the service writes it, in lower case."""
    return str(getattr(value, "value", value) or "").lower()


def _states(counts: Any) -> dict[str, int]:
    if counts is None:
        return {}
    found = {state.replace("_", ""): int(getattr(counts, state, 0) or 0) for state in _NODE_STATES}
    return {state: number for state, number in found.items() if number}


def _pool(pool: m.BatchPool) -> Pool:
    run = pool.auto_scale_run
    failed = run.error if run else None
    interval = pool.auto_scale_evaluation_interval
    return Pool(
        id=str(pool.id),
        state=_word(pool.state),
        allocation_state=_word(pool.allocation_state),
        autoscale_enabled=bool(pool.enable_auto_scale),
        formula=pool.auto_scale_formula or "",
        interval=interval.total_seconds() if interval else 0.0,
        evaluated_at=run.timestamp if run else None,
        evaluation_results=(run.results or "") if run else "",
        evaluation_error=(str(failed.code), _with_values(failed)) if failed else None,
        resize_errors=tuple((str(error.code), _with_values(error)) for error in pool.resize_errors or ()),
        target_dedicated=pool.target_dedicated_nodes or 0,
        target_low_priority=pool.target_low_priority_nodes or 0,
        current_dedicated=pool.current_dedicated_nodes or 0,
        current_low_priority=pool.current_low_priority_nodes or 0,
        slots=pool.task_slots_per_node or 1,
        vm_size=str(pool.vm_size or ""),
        identity=bool(pool.identity and pool.identity.user_assigned_identities),
    )


def _with_values(error: Any) -> str:
    values = "; ".join(f"{item.name}: {item.value}" for item in error.error_values or ())
    return f"{error.message or ''} {values}".strip()


def _job(job: m.BatchJob) -> JobView:
    return JobView(id=str(job.id), state=_word(job.state), created=job.creation_time)


def _task(task: m.BatchTask) -> TaskView:
    info = task.execution_info
    failure = info.failure_info if info else None
    return TaskView(
        id=str(task.id),
        state=_word(task.state),
        succeeded=bool(info and _word(info.result) == "success"),
        exit_code=info.exit_code if info else None,
        failure=f"{failure.code or ''}: {failure.message or ''}" if failure else "",
        node=str(task.node_info.node_id or "") if task.node_info else "",
        retries=(info.retry_count or 0) if info else 0,
        requeues=(info.requeue_count or 0) if info else 0,
        started=info.start_time if info else None,
        ended=info.end_time if info else None,
    )
