"""/_local: misbehaviour on demand. No part of Batch: Basic authentication with the account's name and key.

`POST /_local/KIND` with a JSON object; see `docs/local-batch.md` for each kind's properties.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from localcloud.batch.core import AllocationGrant, Failure, NodeTimes, Quotas
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.faults import RequestFault
from localcloud.batch.service import Service
from localcloud.batch.wire.errors import ERRORS
from localcloud.batch.wire.instants import time_text
from localcloud.batch.wire.reader import Reader

ADMIN_PREFIX: Final = "/_local/"


async def administer(request: web.Request, services: Mapping[str, Service]) -> web.Response:
    """Answer a request below /_local/. Raises Refused."""
    service = _authenticated(request.headers.get("authorization", ""), services)
    kind = request.path.removeprefix(ADMIN_PREFIX).strip("/")
    if request.method == "GET" and kind == "state":
        return web.json_response(_state(service))
    if request.method != "POST":
        raise Refused("UnsupportedHttpVerb")
    try:
        document = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise Refused("InvalidRequestBody") from error
    return web.json_response(order(service, kind, Reader(document if isinstance(document, dict) else {})))


def _authenticated(authorization: str, services: Mapping[str, Service]) -> Service:
    scheme, _, rest = authorization.partition(" ")
    try:
        name, _, key = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused("AuthenticationFailed") from error
    service = services.get(name)
    if scheme.lower() != "basic" or service is None or not hmac.compare_digest(key, service.key):
        raise Refused("AuthenticationFailed")
    return service


def order(service: Service, kind: str, reader: Reader) -> dict[str, Any]:
    """Order one misbehaviour. Raises Refused for an unknown kind or a wrong property."""
    found = _KINDS.get(kind)
    if found is None:
        raise Refused("InvalidUri", f"Unknown kind {kind!r}: one of {', '.join(_KINDS)}")
    return found(service, reader)


def _preempt(service: Service, reader: Reader) -> dict[str, Any]:
    pool_id = reader.required_text("poolId")
    with service.operation() as account:
        if reader.has("nodeId"):
            node_id = reader.required_text("nodeId")
            account.preempt_node(pool_id, node_id)
            return {"nodes": [node_id]}
        return {"nodes": account.preempt(pool_id, reader.integer("count", 1, least=1))}


def _fail_allocations(service: Service, reader: Reader) -> dict[str, Any]:
    code = reader.text("code") or "AllocationFailed"
    message = reader.text("message") or "Desired number of nodes could not be allocated"
    grant = AllocationGrant(
        delays=(0.0,) * reader.integer("granted", 0, least=0),
        error=(code, message),
        sticky=reader.boolean("sticky", default=False),
    )
    with service.operation() as account:
        account.fail_next_allocations(reader.text("poolId"), grant, reader.integer("times", 1, least=1))
    return {}


def _slow_boots(service: Service, reader: Reader) -> dict[str, Any]:
    with service.operation() as account:
        seconds = float(reader.integer("seconds", 600, least=0))
        account.slow_next_boots(reader.text("poolId"), seconds, reader.integer("times", 1, least=1))
    return {}


def _fail_start_tasks(service: Service, reader: Reader) -> dict[str, Any]:
    with service.operation() as account:
        account.fail_next_start_tasks(reader.text("poolId"), reader.integer("times", 1, least=1))
    return {}


def _unusable_nodes(service: Service, reader: Reader) -> dict[str, Any]:
    pool_id = reader.required_text("poolId")
    failure = Failure(
        category="servererror",
        code=reader.text("code") or "NodeNotReady",
        message=reader.text("message") or "The Batch service cannot communicate with the node",
    )
    with service.operation() as account:
        if reader.has("nodeId"):
            node_id = reader.required_text("nodeId")
            account.spoil_node(pool_id, node_id, failure)
            return {"nodes": [node_id]}
        return {"nodes": account.spoil(pool_id, failure, reader.integer("count", 1, least=1))}


def _fail_requests(service: Service, reader: Reader) -> dict[str, Any]:
    code = reader.text("code") or "ServerBusy"
    if code not in ERRORS:
        raise invalid_property("code", code, "It must be one of Batch's error codes")
    service.faults.add(
        RequestFault(
            code=code,
            times=reader.integer("times", 1, least=1),
            method=reader.text("method"),
            path_prefix=reader.text("path") or "",
            retry_after=reader.integer("retryAfter", 0, least=0) if reader.has("retryAfter") else None,
            after=reader.boolean("after", default=False),
        )
    )
    return {}


def _clear_requests(service: Service, _: Reader) -> dict[str, Any]:
    service.faults.clear()
    return {}


def _quotas(service: Service, reader: Reader) -> dict[str, Any]:
    world = service.account.world
    old = world.quotas
    world.quotas = Quotas(
        active_jobs=reader.integer("activeJobs", old.active_jobs, least=0),
        pools=reader.integer("pools", old.pools, least=0),
        dedicated_cores=reader.integer("dedicatedCores", old.dedicated_cores, least=0),
        low_priority_cores=reader.integer("lowPriorityCores", old.low_priority_cores, least=0),
    )
    return {}


def _node_times(service: Service, reader: Reader) -> dict[str, Any]:
    """For nodes that are allocated from now on."""
    model = service.account.world.model
    if not isinstance(model, NodeTimes):
        raise Refused("OperationInvalidForCurrentState")
    if reader.has("preemptionsPerHour"):
        model = replace(model, preemptions_per_hour=float(reader.integer("preemptionsPerHour", 0, least=0)))
    if reader.has("restoreSeconds"):
        seconds = float(reader.integer("restoreSeconds", 0, least=0))
        model = replace(model, restored=(seconds, seconds))
    if reader.has("bootSeconds"):
        third = reader.integer("bootSeconds", 0, least=0) / 3
        model = replace(model, allocation=(third, third), creating=(third, third), starting=(third, third))
    service.account.world.model = model
    return {}


def _state(service: Service) -> dict[str, Any]:
    """What a test or a person wants to see at a glance; pools with their metrics and the bill of their nodes."""
    account = service.reading()
    return {
        "account": service.name,
        "time": time_text(account.now),
        "speed": service.clock.speed,
        "pools": {pool.id: account.metrics(pool.id) for pool in account.pools.values()},
        "jobs": {job.id: job.state.value for job in account.jobs.values()},
    }


_KINDS: Final[dict[str, Callable[[Service, Reader], dict[str, Any]]]] = {
    "preempt": _preempt,
    "failallocations": _fail_allocations,
    "slowboots": _slow_boots,
    "failstarttasks": _fail_start_tasks,
    "unusablenodes": _unusable_nodes,
    "failrequests": _fail_requests,
    "clearrequests": _clear_requests,
    "quotas": _quotas,
    "nodetimes": _node_times,
}
