"""Command lines and what surrounds them: environment, resource files, output files, constraints."""

from typing import Any

from localcloud.batch.core.effects import Failure
from localcloud.batch.core.entities import Execution
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.specs import FOREVER, WEEK, CommandSpec, OutputFile, ResourceFile
from localcloud.batch.wire.instants import duration_text, time_text
from localcloud.batch.wire.reader import Reader

_CONDITIONS = ("tasksuccess", "taskfailure", "taskcompletion")


def read_environment(reader: Reader, name: str = "environmentSettings") -> tuple[tuple[str, str], ...]:
    return tuple((item.required_text("name"), item.text("value") or "") for item in reader.objects(name))


def read_command(reader: Reader, *, max_retries: int | None = None) -> CommandSpec:
    """The parts that tasks, start tasks, preparation and release tasks have in common."""
    constraints = reader.object("constraints") or Reader({})
    retries = max_retries
    for place in (constraints, reader):
        if place.has("maxTaskRetryCount"):
            retries = place.integer("maxTaskRetryCount", 0, least=-1)
    limits = constraints if constraints.document else reader
    command_line = reader.text("commandLine")
    if command_line is None:
        raise Refused("MissingRequiredProperty", values=(("PropertyName", "commandLine"),))
    identity = reader.object("userIdentity") or Reader({})
    auto_user = identity.object("autoUser") or Reader({})
    return CommandSpec(
        command_line=command_line,
        environment=read_environment(reader),
        resource_files=tuple(_resource_file(item) for item in reader.objects("resourceFiles")),
        output_files=tuple(_output_file(item) for item in reader.objects("outputFiles")),
        max_retries=retries,
        max_wall_clock=limits.duration("maxWallClockTime", FOREVER),
        retention=limits.duration("retentionTime", WEEK),
        container=reader.has("containerSettings"),
        elevated=auto_user.text("elevationLevel", "nonadmin") == "admin",
    )


def _resource_file(reader: Reader) -> ResourceFile:
    sources = [n for n in ("httpUrl", "storageContainerUrl", "autoStorageContainerName") if reader.has(n)]
    if len(sources) != 1:
        raise invalid_property(
            "resourceFiles",
            ", ".join(sources),
            "Exactly one of httpUrl, storageContainerUrl and autoStorageContainerName must be specified",
        )
    if sources == ["httpUrl"] and not reader.has("filePath"):
        raise Refused("MissingRequiredProperty", values=(("PropertyName", "filePath"),))
    return ResourceFile(
        http_url=reader.text("httpUrl"),
        container_url=reader.text("storageContainerUrl"),
        auto_storage_container=reader.text("autoStorageContainerName"),
        blob_prefix=reader.text("blobPrefix") or "",
        file_path=reader.text("filePath"),
        file_mode=reader.text("fileMode"),
        identity=_identity(reader),
    )


def _output_file(reader: Reader) -> OutputFile:
    container = reader.required_object("destination").required_object("container")
    options = reader.required_object("uploadOptions")
    return OutputFile(
        pattern=reader.required_text("filePattern"),
        container_url=container.required_text("containerUrl"),
        path=container.text("path"),
        condition=options.choice("uploadCondition", "taskcompletion", _CONDITIONS),
        headers=tuple((h.required_text("name"), h.text("value") or "") for h in container.objects("uploadHeaders")),
        identity=_identity(container),
    )


def _identity(reader: Reader) -> str | None:
    reference = reader.object("identityReference")
    return None if reference is None else reference.text("resourceId")


def failure_json(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    body: dict[str, Any] = {
        "category": failure.category,
        "code": failure.code,
        "message": failure.message,
    }
    if failure.details:
        body["details"] = [{"name": name, "value": value} for name, value in failure.details]
    return body


def execution_json(execution: Execution, *, requeues: bool = False) -> dict[str, Any]:
    """executionInfo, startTaskInfo and their kin: without what is not known yet."""
    body: dict[str, Any] = {}
    if execution.started_at is not None:
        body["startTime"] = time_text(execution.started_at)
    if execution.ended_at is not None:
        body["endTime"] = time_text(execution.ended_at)
        body["result"] = "success" if execution.succeeded else "failure"
    if execution.exit_code is not None:
        body["exitCode"] = execution.exit_code
    if execution.failure is not None:
        body["failureInfo"] = failure_json(execution.failure)
    body["retryCount"] = execution.retries
    if execution.last_retry_at is not None:
        body["lastRetryTime"] = time_text(execution.last_retry_at)
    if requeues:
        body["requeueCount"] = execution.requeues
        if execution.last_requeue_at is not None:
            body["lastRequeueTime"] = time_text(execution.last_requeue_at)
    return body


def constraints_json(command: CommandSpec, retries: int) -> dict[str, Any]:
    return {
        "maxWallClockTime": duration_text(command.max_wall_clock),
        "retentionTime": duration_text(command.retention),
        "maxTaskRetryCount": retries,
    }
