"""Jobs and job schedules on the wire."""

from typing import Any

from localcloud.batch import layout
from localcloud.batch.core.entities import Counts, Job, Preparation, Schedule
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.specs import (
    FOREVER,
    AutoPoolSpec,
    JobScheduleSpec,
    JobSpec,
    PreparationSpec,
    ReleaseSpec,
)
from localcloud.batch.wire.commands import execution_json, failure_json, read_command, read_environment
from localcloud.batch.wire.instants import duration_text, time_text
from localcloud.batch.wire.pools import read_pool, scrub
from localcloud.batch.wire.reader import Reader
from localcloud.batch.wire.resources import Resource, etag
from localcloud.batch.wire.tasks import read_task

MIN_RECURRENCE = 60.0


def read_job(reader: Reader, *, job_id: str | None = None) -> JobSpec:
    """A job's definition. `job_id` given: for a job schedule's jobSpecification, whose body has none."""
    constraints = reader.object("constraints") or Reader({})
    pool_id, auto = _pool(reader.required_object("poolInfo"), scheduled=job_id is not None)
    manager, preparation, release = (
        reader.object(name) for name in ("jobManagerTask", "jobPreparationTask", "jobReleaseTask")
    )
    if release is not None and preparation is None:
        raise invalid_property("jobReleaseTask", "", "A job release task needs a job preparation task")
    on_failure = ("noaction", "performexitoptionsjobaction")
    wall_clock = constraints.duration("maxWallClockTime", FOREVER)
    return JobSpec(
        id=reader.id() if job_id is None else job_id,
        pool_id=pool_id,
        auto_pool=auto,
        priority=reader.integer("priority", 0, least=-1000, most=1000),
        max_parallel_tasks=_parallel(reader),
        allow_task_preemption=reader.boolean("allowTaskPreemption", default=False),
        max_wall_clock=wall_clock,
        max_task_retries=constraints.integer("maxTaskRetryCount", 0, least=-1),
        uses_dependencies=reader.boolean("usesTaskDependencies", default=False),
        terminate_when_done=reader.choice("onAllTasksComplete", "noaction", ("noaction", "terminatejob"))
        == "terminatejob",
        act_on_task_failure=reader.choice("onTaskFailure", "noaction", on_failure) != "noaction",
        manager=None if manager is None else read_task(manager, manager=True),
        preparation=None if preparation is None else _preparation(preparation),
        release=None if release is None else _release(release),
        environment=read_environment(reader, "commonEnvironmentSettings"),
        document=reader.without(),
    )


def _parallel(reader: Reader) -> int:
    value = reader.integer("maxParallelTasks", -1, least=-1)
    if value == 0:
        raise invalid_property("maxParallelTasks", value, "The value must be -1 or at least 1")
    return value


def _pool(reader: Reader, *, scheduled: bool) -> tuple[str, AutoPoolSpec | None]:
    auto = reader.object("autoPoolSpecification")
    if (auto is None) == (not reader.has("poolId")):
        raise invalid_property("poolInfo", "", "Exactly one of poolId and autoPoolSpecification must be specified")
    if auto is None:
        return reader.id("poolId"), None
    lifetime = auto.choice("poolLifetimeOption", "job", ("job", "jobschedule"))
    if lifetime == "jobschedule" and not scheduled:
        raise invalid_property("poolLifetimeOption", lifetime, "It may be specified for a job schedule only")
    return "", AutoPoolSpec(
        pool=read_pool(auto.required_object("pool"), pool_id="auto"),
        prefix=auto.text("autoPoolIdPrefix") or "",
        lifetime=lifetime,
        keep_alive=auto.boolean("keepAlive", default=False),
    )


def _preparation(reader: Reader) -> PreparationSpec:
    return PreparationSpec(
        id=reader.id() if reader.has("id") else "jobpreparation",
        command=read_command(reader, max_retries=0),
        wait_for_success=reader.boolean("waitForSuccess", default=True),
        rerun_on_reboot=reader.boolean("rerunOnNodeRebootAfterSuccess", default=True),
        document=reader.without(),
    )


def _release(reader: Reader) -> ReleaseSpec:
    command = read_command(reader, max_retries=0)
    if command.max_wall_clock >= FOREVER:
        command = read_command(Reader({**reader.document, "maxWallClockTime": "PT15M"}), max_retries=0)
    return ReleaseSpec(id=reader.id() if reader.has("id") else "jobrelease", command=command, document=reader.without())


def read_schedule(reader: Reader) -> JobScheduleSpec:
    schedule_id = reader.id()
    times = reader.object("schedule") or Reader({})
    recurrence = times.duration("recurrenceInterval", 0.0) or None
    if recurrence is not None and recurrence < MIN_RECURRENCE:
        raise invalid_property("recurrenceInterval", times.document["recurrenceInterval"], "The minimum is 1 minute")
    return JobScheduleSpec(
        id=schedule_id,
        job=read_job(reader.required_object("jobSpecification"), job_id=schedule_id),
        not_before=times.time("doNotRunUntil"),
        not_after=times.time("doNotRunAfter"),
        start_window=times.duration("startWindow", 0.0) or None,
        recurrence=recurrence,
        document=reader.without(),
    )


def _execution(job: Job) -> dict[str, Any]:
    body: dict[str, Any] = {"startTime": time_text(job.started_at), "poolId": job.pool_id}
    if job.ended_at is not None:
        body["endTime"] = time_text(job.ended_at)
    if job.scheduling_error is not None:
        body["schedulingError"] = failure_json(job.scheduling_error)
    if job.terminate_reason is not None:
        body["terminateReason"] = job.terminate_reason
    return body


_KEPT = (
    "displayName",
    "jobManagerTask",
    "commonEnvironmentSettings",
    "networkConfiguration",
    "metadata",
)


def job_resource(base: str) -> "Resource[Job]":
    """Jobs as `GET /jobs` gives them."""

    def kept(name: str) -> Any:
        return lambda job: scrub(job.spec.document.get(name))

    def described(spec: PreparationSpec | ReleaseSpec | None) -> dict[str, Any] | None:
        return None if spec is None else {"id": spec.id, **scrub(dict(spec.document))}

    properties: dict[str, Any] = {
        "id": lambda j: j.id,
        "url": lambda j: f"{base}/jobs/{j.id}",
        "eTag": lambda j: etag(j.revision),
        "lastModified": lambda j: time_text(j.revision.modified_at),
        "creationTime": lambda j: time_text(j.revision.created_at),
        "state": lambda j: j.state.value,
        "stateTransitionTime": lambda j: time_text(j.state_at),
        "previousState": lambda j: None if j.previous_state is None else j.previous_state.value,
        "previousStateTransitionTime": lambda j: (
            None if j.previous_state_at is None else time_text(j.previous_state_at)
        ),
        "priority": lambda j: j.spec.priority,
        "allowTaskPreemption": lambda j: j.spec.allow_task_preemption,
        "maxParallelTasks": lambda j: j.spec.max_parallel_tasks,
        "usesTaskDependencies": lambda j: j.spec.uses_dependencies,
        "constraints": lambda j: {
            "maxWallClockTime": duration_text(j.spec.max_wall_clock),
            "maxTaskRetryCount": j.spec.max_task_retries,
        },
        "jobPreparationTask": lambda j: described(j.spec.preparation),
        "jobReleaseTask": lambda j: described(j.spec.release),
        "poolInfo": lambda j: scrub(j.spec.document.get("poolInfo") or {"poolId": j.pool_id}),
        "onAllTasksComplete": lambda j: "terminatejob" if j.spec.terminate_when_done else "noaction",
        "onTaskFailure": lambda j: "performexitoptionsjobaction" if j.spec.act_on_task_failure else "noaction",
        "executionInfo": _execution,
    }
    properties |= {name: kept(name) for name in _KEPT}
    return Resource(
        name="jobs",
        properties=properties,
        filterable={
            "id": lambda j: j.id,
            "displayName": lambda j: j.spec.document.get("displayName"),
            "creationTime": lambda j: j.revision.created_at,
            "lastModified": lambda j: j.revision.modified_at,
            "state": lambda j: j.state.value,
            "stateTransitionTime": lambda j: j.state_at,
            "previousState": lambda j: None if j.previous_state is None else j.previous_state.value,
            "previousStateTransitionTime": lambda j: j.previous_state_at,
            "priority": lambda j: float(j.spec.priority),
            "executionInfo/poolId": lambda j: j.pool_id,
            "executionInfo/startTime": lambda j: j.started_at,
            "executionInfo/endTime": lambda j: j.ended_at,
            "executionInfo/terminateReason": lambda j: j.terminate_reason,
            "poolInfo/poolId": lambda j: j.pool_id,
        },
    )


def schedule_resource(base: str) -> "Resource[Schedule]":
    """Job schedules as `GET /jobschedules` gives them."""

    def execution(schedule: Schedule) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if schedule.next_run_at is not None:
            body["nextRunTime"] = time_text(schedule.next_run_at)
        if schedule.recent_job is not None:
            body["recentJob"] = {"id": schedule.recent_job, "url": f"{base}/jobs/{schedule.recent_job}"}
        if schedule.ended_at is not None:
            body["endTime"] = time_text(schedule.ended_at)
        return body

    properties: dict[str, Any] = {
        "id": lambda s: s.id,
        "displayName": lambda s: s.spec.document.get("displayName"),
        "url": lambda s: f"{base}/jobschedules/{s.id}",
        "eTag": lambda s: etag(s.revision),
        "lastModified": lambda s: time_text(s.revision.modified_at),
        "creationTime": lambda s: time_text(s.revision.created_at),
        "state": lambda s: s.state.value,
        "stateTransitionTime": lambda s: time_text(s.state_at),
        "previousState": lambda s: None if s.previous_state is None else s.previous_state.value,
        "previousStateTransitionTime": lambda s: (
            None if s.previous_state_at is None else time_text(s.previous_state_at)
        ),
        "schedule": lambda s: s.spec.document.get("schedule"),
        "jobSpecification": lambda s: scrub(s.spec.document.get("jobSpecification")),
        "executionInfo": execution,
        "metadata": lambda s: s.spec.document.get("metadata"),
    }
    return Resource(
        name="jobschedules",
        properties=properties,
        filterable={
            "id": lambda s: s.id,
            "creationTime": lambda s: s.revision.created_at,
            "lastModified": lambda s: s.revision.modified_at,
            "state": lambda s: s.state.value,
            "stateTransitionTime": lambda s: s.state_at,
            "previousState": lambda s: None if s.previous_state is None else s.previous_state.value,
        },
    )


def task_counts_json(job: Job) -> dict[str, Any]:
    """`GET /jobs/{id}/taskcounts`"""

    def body(counts: Counts) -> dict[str, int]:
        return {
            "active": counts.active,
            "running": counts.running,
            "completed": counts.completed,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
        }

    return {"taskCounts": body(job.counts), "taskSlotCounts": body(job.slot_counts)}


def preparation_statuses(job: Job, base: str) -> list[dict[str, Any]]:
    """`GET /jobs/{id}/jobpreparationandreleasetaskstatus`. Raises Refused where the job has no such task."""
    if job.spec.preparation is None:
        raise Refused("JobPreparationTaskNotSpecified")
    key = job.id.lower()
    found = [(job.pool_id, node_id, preparation) for node_id, preparation in job.past_preparations.values()]
    for node in job.prepared_nodes.values():
        preparation = node.preparations.get(key)
        if preparation is not None:
            found.append((node.pool.id, node.id, preparation))
    return [_status(job, base, pool_id, node_id, preparation) for pool_id, node_id, preparation in found]


def _status(job: Job, base: str, pool_id: str, node_id: str, preparation: Preparation) -> dict[str, Any]:
    node_url = f"{base}/pools/{pool_id}/nodes/{node_id}"
    root = layout.job_directory(job.id)

    def execution(task_id: str, state: str, body: dict[str, Any]) -> dict[str, Any]:
        directory = f"{root}/{task_id}"
        return {
            **body,
            "state": state,
            "taskRootDirectory": directory,
            "taskRootDirectoryUrl": f"{node_url}/files/{directory}",
        }

    body: dict[str, Any] = {"poolId": pool_id, "nodeId": node_id, "nodeUrl": node_url}
    if job.spec.preparation is not None:
        body["jobPreparationTaskExecutionInfo"] = execution(
            job.spec.preparation.id, preparation.state, execution_json(preparation.execution)
        )
    if preparation.release is not None and job.spec.release is not None:
        body["jobReleaseTaskExecutionInfo"] = execution(
            job.spec.release.id, preparation.release_state, execution_json(preparation.release)
        )
    return body
