"""Tasks on the wire."""

from typing import Any

from localcloud.batch import layout
from localcloud.batch.core.entities import Task
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.specs import ExitConditions, ExitOptions, TaskSpec
from localcloud.batch.core.states import TaskState
from localcloud.batch.wire.commands import constraints_json, execution_json, read_command
from localcloud.batch.wire.instants import time_text
from localcloud.batch.wire.pools import scrub
from localcloud.batch.wire.reader import Reader
from localcloud.batch.wire.resources import Resource, etag

MAX_DEPENDENCY_TEXT = 64_000


def read_task(reader: Reader, *, manager: bool = False) -> TaskSpec:
    """A task's definition. `manager`: the job manager task of a job, which has two properties more."""
    if reader.has("multiInstanceSettings"):
        raise Refused(
            "RequestNotSupported",
            "Multi-instance tasks are not supported by the local Batch service: its nodes share one machine.",
        )
    depends = reader.object("dependsOn") or Reader({})
    names = tuple(str(name) for name in depends.array("taskIds"))
    if sum(map(len, names)) > MAX_DEPENDENCY_TEXT:
        raise Refused("TaskDependencyListTooLong")
    conditions = reader.object("exitConditions")
    affinity = reader.object("affinityInfo")
    return TaskSpec(
        id=reader.id(),
        command=read_command(reader),
        required_slots=reader.integer("requiredSlots", 1, least=1, most=256),
        depends_on=names,
        depends_on_ranges=tuple(_range(item) for item in depends.objects("taskIdRanges")),
        exit_conditions=None if conditions is None else _conditions(conditions),
        affinity_id=None if affinity is None else affinity.required_text("affinityId"),
        kills_job=manager and reader.boolean("killJobOnCompletion", default=True),
        run_exclusive=manager and reader.boolean("runExclusive", default=True),
        allow_low_priority=reader.boolean("allowLowPriorityNode", default=True),
        document=reader.without(),
    )


def _range(reader: Reader) -> tuple[int, int]:
    start, end = reader.integer("start", 0, least=0), reader.integer("end", 0, least=0)
    if end < start:
        raise invalid_property("taskIdRanges", f"{start}-{end}", "A range ends at or after its start")
    return start, end


def _conditions(reader: Reader) -> ExitConditions:
    ranges = []
    for item in reader.objects("exitCodes"):
        code = item.integer("code", 0)
        ranges.append((code, code, _options(item.required_object("exitOptions"))))
    for item in reader.objects("exitCodeRanges"):
        low, high = item.integer("start", 0), item.integer("end", 0)
        ranges.append((low, high, _options(item.required_object("exitOptions"))))
    return ExitConditions(
        ranges=tuple(ranges),
        preprocessing_error=_optional_options(reader, "preProcessingError"),
        upload_error=_optional_options(reader, "fileUploadError"),
        default=_optional_options(reader, "default"),
    )


def _optional_options(reader: Reader, name: str) -> ExitOptions | None:
    found = reader.object(name)
    return None if found is None else _options(found)


def _options(reader: Reader) -> ExitOptions:
    action = reader.text("dependencyAction")
    return ExitOptions(
        job_action=None
        if not reader.has("jobAction")
        else reader.choice("jobAction", "none", ("none", "disable", "terminate")),
        satisfies=None if action is None else reader.choice("dependencyAction", "", ("satisfy", "block")) == "satisfy",
    )


_KEPT = (
    "displayName",
    "containerSettings",
    "resourceFiles",
    "outputFiles",
    "environmentSettings",
    "affinityInfo",
    "exitConditions",
    "dependsOn",
    "applicationPackageReferences",
    "authenticationTokenSettings",
)


def task_resource(base: str) -> "Resource[Task]":
    """Tasks as `GET /jobs/{id}/tasks` gives them."""

    def kept(name: str) -> Any:
        return lambda task: scrub(task.spec.document.get(name))

    def node_info(task: Task) -> dict[str, Any] | None:
        if task.node_id is None or task.state is TaskState.ACTIVE:
            return None
        node = f"{base}/pools/{task.node_pool_id}/nodes/{task.node_id}"
        root = layout.task_directory(task.job.id, task.id)
        return {
            "affinityId": task.node_id,
            "nodeUrl": node,
            "poolId": task.node_pool_id,
            "nodeId": task.node_id,
            "taskRootDirectory": root,
            "taskRootDirectoryUrl": f"{node}/files/{root}",
        }

    properties: dict[str, Any] = {
        "id": lambda t: t.id,
        "url": lambda t: f"{base}/jobs/{t.job.id}/tasks/{t.id}",
        "eTag": lambda t: etag(t.revision),
        "lastModified": lambda t: time_text(t.revision.modified_at),
        "creationTime": lambda t: time_text(t.revision.created_at),
        "state": lambda t: t.state.value,
        "stateTransitionTime": lambda t: time_text(t.state_at),
        "previousState": lambda t: None if t.previous_state is None else t.previous_state.value,
        "previousStateTransitionTime": lambda t: (
            None if t.previous_state_at is None else time_text(t.previous_state_at)
        ),
        "commandLine": lambda t: t.spec.command.command_line,
        "userIdentity": lambda t: (
            t.spec.document.get("userIdentity") or {"autoUser": {"scope": "task", "elevationLevel": "nonadmin"}}
        ),
        "constraints": lambda t: constraints_json(t.spec.command, t.max_retries),
        "requiredSlots": lambda t: t.spec.required_slots,
        "executionInfo": lambda t: execution_json(t.execution, requeues=True),
        "nodeInfo": node_info,
    }
    properties |= {name: kept(name) for name in _KEPT}
    return Resource(
        name="tasks",
        properties=properties,
        filterable={
            "id": lambda t: t.id,
            "displayName": lambda t: t.spec.document.get("displayName"),
            "creationTime": lambda t: t.revision.created_at,
            "lastModified": lambda t: t.revision.modified_at,
            "state": lambda t: t.state.value,
            "stateTransitionTime": lambda t: t.state_at,
            "previousState": lambda t: None if t.previous_state is None else t.previous_state.value,
            "previousStateTransitionTime": lambda t: t.previous_state_at,
            "requiredSlots": lambda t: float(t.spec.required_slots),
            "executionInfo/startTime": lambda t: t.execution.started_at,
            "executionInfo/endTime": lambda t: t.execution.ended_at,
            "executionInfo/exitCode": lambda t: _number(t.execution.exit_code),
            "executionInfo/retryCount": lambda t: float(t.execution.retries),
            "executionInfo/requeueCount": lambda t: float(t.execution.requeues),
            "executionInfo/result": _result,
            "executionInfo/failureInfo/category": lambda t: t.execution.failure and t.execution.failure.category,
            "executionInfo/failureInfo/code": lambda t: t.execution.failure and t.execution.failure.code,
            "nodeInfo/nodeId": lambda t: t.node_id,
            "nodeInfo/poolId": lambda t: t.node_pool_id,
        },
    )


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)


def _result(task: Task) -> str | None:
    if task.execution.ended_at is None:
        return None
    return "success" if task.execution.succeeded else "failure"
