"""Compute nodes on the wire."""

from typing import Any

from localcloud.batch.core.effects import Failure
from localcloud.batch.core.entities import Node
from localcloud.batch.core.states import NodeState
from localcloud.batch.wire.commands import execution_json
from localcloud.batch.wire.instants import time_text
from localcloud.batch.wire.pools import scrub
from localcloud.batch.wire.resources import Resource

AGENT_VERSION = "1.11.0-local"


def node_resource(base: str) -> "Resource[Node]":
    """Nodes as `GET /pools/{id}/nodes` gives them."""

    def url(node: Node) -> str:
        return f"{base}/pools/{node.pool.id}/nodes/{node.id}"

    def recent(node: Node) -> list[dict[str, Any]] | None:
        return [
            {
                "taskUrl": f"{base}/jobs/{t.job_id}/tasks/{t.task_id}",
                "jobId": t.job_id,
                "taskId": t.task_id,
                "taskState": "completed",
            }
            for t in node.recent
        ] or None

    return Resource(
        name="nodes",
        properties={
            "id": lambda n: n.id,
            "url": url,
            "state": lambda n: n.state.value,
            "schedulingState": lambda n: "enabled" if n.scheduling else "disabled",
            "stateTransitionTime": lambda n: time_text(n.state_at),
            "lastBootTime": lambda n: time_text(n.booted_at),
            "allocationTime": lambda n: time_text(n.allocated_at),
            "ipAddress": lambda n: n.address,
            "ipv6Address": lambda n: "",
            "affinityId": lambda n: n.id,
            "vmSize": lambda n: n.pool.spec.vm_size,
            "totalTasksRun": lambda n: n.tasks_run,
            "runningTasksCount": running_tasks,
            "runningTaskSlotsCount": lambda n: n.slots_used,
            "totalTasksSucceeded": lambda n: n.tasks_succeeded,
            "recentTasks": recent,
            "startTask": lambda n: (
                None if n.pool.spec.start_task is None else scrub(dict(n.pool.spec.start_task.document))
            ),
            "startTaskInfo": _start_task_info,
            "errors": lambda n: [_error(e) for e in n.errors] or None,
            "isDedicated": lambda n: n.dedicated,
            "endpointConfiguration": lambda n: {"inboundEndpoints": []},
            "nodeAgentInfo": _agent,
            "virtualMachineInfo": _machine,
        },
        filterable={
            "id": lambda n: n.id,
            "state": lambda n: n.state.value,
            "stateTransitionTime": lambda n: n.state_at,
            "schedulingState": lambda n: "enabled" if n.scheduling else "disabled",
            "lastBootTime": lambda n: n.booted_at,
            "allocationTime": lambda n: n.allocated_at,
            "affinityId": lambda n: n.id,
            "vmSize": lambda n: n.pool.spec.vm_size,
            "isDedicated": lambda n: n.dedicated,
            "totalTasksRun": lambda n: float(n.tasks_run),
            "runningTasksCount": lambda n: float(running_tasks(n)),
        },
    )


def _error(failure: Failure) -> dict[str, Any]:
    """A BatchNodeError: unlike the failure of a task it has no category."""
    details = [{"name": name, "value": value} for name, value in failure.details]
    return {"code": failure.code, "message": failure.message, **({"errorDetails": details} if details else {})}


def running_tasks(node: Node) -> int:
    return sum(1 for run in node.runs.values() if run.task is not None)


def _start_task_info(node: Node) -> dict[str, Any] | None:
    if node.start_task is None:
        return None
    return {"state": node.start_task_state, **execution_json(node.start_task)}


def _agent(node: Node) -> dict[str, Any] | None:
    if node.state in (NodeState.CREATING, NodeState.PREEMPTED):
        return None
    return {"version": AGENT_VERSION, "lastUpdateTime": time_text(node.booted_at)}


def _machine(node: Node) -> dict[str, Any]:
    configuration = node.pool.spec.document.get("virtualMachineConfiguration") or {}
    return {"imageReference": configuration.get("imageReference") or {}}
