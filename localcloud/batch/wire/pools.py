"""Pools on the wire."""

import re
from typing import Any

from localcloud.batch.core.entities import AutoscaleRun, Pool
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.specs import AUTOSCALE_DEFAULT, PoolSpec, StartTaskSpec
from localcloud.batch.core.states import FillType, NodeState
from localcloud.batch.wire.commands import read_command
from localcloud.batch.wire.instants import duration_text, time_text
from localcloud.batch.wire.reader import Reader
from localcloud.batch.wire.resources import Resource, etag

MIN_RESIZE_TIMEOUT = 300.0
_LIVE = ("targetDedicatedNodes", "targetLowPriorityNodes", "enableAutoScale", "autoScaleFormula")
_SECRETS = frozenset({"password", "accountKey", "sasKey", "sshPrivateKey", "protectedSettings"})
_CORES = re.compile(r"^(?:standard|basic)_[a-z]+(\d+)", re.IGNORECASE)


def read_pool(reader: Reader, *, pool_id: str | None = None) -> PoolSpec:
    """A pool's definition. `pool_id` given: for an auto pool, whose body has none."""
    vm_size = reader.required_text("vmSize")
    _check_image(reader)
    slots = reader.integer("taskSlotsPerNode", reader.integer("maxTasksPerNode", 1), least=1, most=256)
    policy = reader.object("taskSchedulingPolicy") or Reader({})
    formula = _formula(reader)
    start_task = reader.object("startTask")
    reader.objects("metadata")
    return PoolSpec(
        id=reader.id() if pool_id is None else pool_id,
        vm_size=vm_size.lower(),
        cores_per_node=cores_of(vm_size),
        task_slots_per_node=slots,
        fill=FillType(policy.choice("nodeFillType", "spread", ("spread", "pack"))),
        job_order_by_creation=policy.choice("jobDefaultOrder", "none", ("none", "creationtime")) == "creationtime",
        target_dedicated=reader.integer("targetDedicatedNodes", 0, least=0),
        target_low_priority=reader.integer("targetLowPriorityNodes", 0, least=0),
        autoscale_formula=formula,
        autoscale_interval=reader.duration("autoScaleEvaluationInterval", AUTOSCALE_DEFAULT),
        resize_timeout=read_resize_timeout(reader),
        start_task=None if start_task is None else read_start_task(start_task),
        document=reader.without(*_LIVE),
    )


def _check_image(reader: Reader) -> None:
    machine = reader.object("virtualMachineConfiguration")
    if machine is None:
        if reader.has("cloudServiceConfiguration"):
            raise invalid_property("cloudServiceConfiguration", "", "Cloud Services pools were retired")
        raise Refused("MissingRequiredProperty", values=(("PropertyName", "virtualMachineConfiguration"),))
    machine.required_object("imageReference")
    machine.required_text("nodeAgentSKUId")


def _formula(reader: Reader) -> str | None:
    formula = reader.text("autoScaleFormula")
    if not reader.boolean("enableAutoScale", default=False):
        if formula is not None:
            raise invalid_property("autoScaleFormula", formula, "enableAutoScale is not true")
        return None
    if formula is None:
        raise Refused("MissingRequiredProperty", values=(("PropertyName", "autoScaleFormula"),))
    for name in ("targetDedicatedNodes", "targetLowPriorityNodes", "resizeTimeout"):
        if reader.has(name):
            raise invalid_property(name, reader.document[name], "It must not be set when enableAutoScale is true")
    return formula


def read_resize_timeout(reader: Reader) -> float:
    timeout = reader.duration("resizeTimeout", 900.0)
    if timeout < MIN_RESIZE_TIMEOUT:
        raise invalid_property("resizeTimeout", reader.document["resizeTimeout"], "The minimum is 5 minutes")
    return timeout


def read_start_task(reader: Reader) -> StartTaskSpec:
    return StartTaskSpec(
        command=read_command(reader, max_retries=0),
        wait_for_success=reader.boolean("waitForSuccess", default=True),
        document=reader.without(),
    )


def cores_of(vm_size: str) -> int:
    """How many cores a size name promises: `standard_d2s_v3` has 2."""
    match = _CORES.match(vm_size)
    return max(1, int(match.group(1))) if match else 1


def scrub(value: Any) -> Any:
    """A copy without what Batch never returns: passwords and keys."""
    if isinstance(value, dict):
        return {k: scrub(v) for k, v in value.items() if k not in _SECRETS}
    if isinstance(value, list):
        return [scrub(item) for item in value]
    return value


def autoscale_run_json(run: AutoscaleRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    body: dict[str, Any] = {"timestamp": time_text(run.at), "results": run.results}
    if run.error is not None:
        code, message, detail = run.error
        body["error"] = {"code": code, "message": message, "values": [{"name": "Message", "value": detail}]}
    return body


def _resize_errors(pool: Pool) -> list[dict[str, Any]] | None:
    if not pool.resize_errors:
        return None
    return [{"code": code, "message": message, "values": []} for code, message in pool.resize_errors]


_KEPT = (
    "displayName",
    "virtualMachineConfiguration",
    "enableInterNodeCommunication",
    "networkConfiguration",
    "applicationPackageReferences",
    "certificateReferences",
    "userAccounts",
    "metadata",
    "mountConfiguration",
    "identity",
    "upgradePolicy",
    "applicationLicenses",
    "resourceTags",
    "targetNodeCommunicationMode",
)


def pool_resource(base: str) -> "Resource[Pool]":
    """Pools as `GET /pools` gives them. `base` is the account's endpoint."""

    def kept(name: str) -> Any:
        return lambda pool: scrub(pool.spec.document.get(name))

    properties: dict[str, Any] = {
        "id": lambda p: p.id,
        "url": lambda p: f"{base}/pools/{p.id}",
        "eTag": lambda p: etag(p.revision),
        "lastModified": lambda p: time_text(p.revision.modified_at),
        "creationTime": lambda p: time_text(p.revision.created_at),
        "state": lambda p: p.state.value,
        "stateTransitionTime": lambda p: time_text(p.state_at),
        "allocationState": lambda p: p.allocation.value,
        "allocationStateTransitionTime": lambda p: time_text(p.allocation_at),
        "vmSize": lambda p: p.spec.vm_size,
        "resizeTimeout": lambda p: None if p.autoscales else duration_text(p.spec.resize_timeout),
        "resizeErrors": _resize_errors,
        "currentDedicatedNodes": lambda p: p.current(dedicated=True),
        "currentLowPriorityNodes": lambda p: p.current(dedicated=False),
        "targetDedicatedNodes": lambda p: p.target_dedicated,
        "targetLowPriorityNodes": lambda p: p.target_low_priority,
        "enableAutoScale": lambda p: p.autoscales,
        "autoScaleFormula": lambda p: p.formula,
        "autoScaleEvaluationInterval": lambda p: duration_text(p.interval) if p.autoscales else None,
        "autoScaleRun": lambda p: autoscale_run_json(p.autoscale_run) if p.autoscales else None,
        "startTask": lambda p: None if p.spec.start_task is None else scrub(_start_task_json(p.spec.start_task)),
        "taskSlotsPerNode": lambda p: p.spec.task_slots_per_node,
        "taskSchedulingPolicy": _policy,
    }
    properties |= {name: kept(name) for name in _KEPT}
    properties["enableInterNodeCommunication"] = lambda p: p.spec.document.get("enableInterNodeCommunication", False)
    return Resource(
        name="pools",
        properties=properties,
        filterable={
            "id": lambda p: p.id,
            "displayName": lambda p: p.spec.document.get("displayName"),
            "creationTime": lambda p: p.revision.created_at,
            "lastModified": lambda p: p.revision.modified_at,
            "state": lambda p: p.state.value,
            "stateTransitionTime": lambda p: p.state_at,
            "allocationState": lambda p: p.allocation.value,
            "allocationStateTransitionTime": lambda p: p.allocation_at,
            "vmSize": lambda p: p.spec.vm_size,
            "enableAutoScale": lambda p: p.autoscales,
            "targetDedicatedNodes": lambda p: float(p.target_dedicated),
            "targetLowPriorityNodes": lambda p: float(p.target_low_priority),
            "currentDedicatedNodes": lambda p: float(p.current(dedicated=True)),
            "currentLowPriorityNodes": lambda p: float(p.current(dedicated=False)),
        },
    )


def _policy(pool: Pool) -> dict[str, Any]:
    return {
        "jobDefaultOrder": "creationtime" if pool.spec.job_order_by_creation else "none",
        "nodeFillType": pool.spec.fill.value,
    }


def _start_task_json(spec: StartTaskSpec) -> dict[str, Any]:
    return {
        **spec.document,
        "waitForSuccess": spec.wait_for_success,
        "maxTaskRetryCount": spec.command.max_retries or 0,
    }


_COUNT_NAMES = {
    "creating": NodeState.CREATING,
    "idle": NodeState.IDLE,
    "leavingPool": NodeState.LEAVING_POOL,
    "offline": NodeState.OFFLINE,
    "preempted": NodeState.PREEMPTED,
    "rebooting": NodeState.REBOOTING,
    "reimaging": NodeState.REIMAGING,
    "running": NodeState.RUNNING,
    "starting": NodeState.STARTING,
    "startTaskFailed": NodeState.START_TASK_FAILED,
    "unknown": NodeState.UNKNOWN,
    "unusable": NodeState.UNUSABLE,
    "waitingForStartTask": NodeState.WAITING_FOR_START_TASK,
    "deallocated": NodeState.DEALLOCATED,
    "deallocating": NodeState.DEALLOCATING,
    "upgradingOS": NodeState.UPGRADING_OS,
}


def node_counts_resource() -> "Resource[Pool]":
    """`GET /nodecounts`"""

    def counts(pool: Pool, *, dedicated: bool) -> dict[str, int]:
        found = pool.node_counts(dedicated=dedicated)
        body = {name: found[state] for name, state in _COUNT_NAMES.items()}
        return {**body, "total": sum(found.values())}

    return Resource(
        name="nodecounts",
        properties={
            "poolId": lambda p: p.id,
            "dedicated": lambda p: counts(p, dedicated=True),
            "lowPriority": lambda p: counts(p, dedicated=False),
        },
        filterable={"poolId": lambda p: p.id},
    )
