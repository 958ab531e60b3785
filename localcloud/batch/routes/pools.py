"""/pools, /nodecounts, /supportedimages, /poolusagemetrics"""

from aiohttp import web

from localcloud.batch.core import Account
from localcloud.batch.core.entities import Pool
from localcloud.batch.core.errors import Refused, invalid_property
from localcloud.batch.core.states import Deallocation
from localcloud.batch.routes.call import Call
from localcloud.batch.wire.images import SUPPORTED_IMAGES, image_resource
from localcloud.batch.wire.pools import (
    autoscale_run_json,
    node_counts_resource,
    pool_resource,
    read_pool,
    read_resize_timeout,
)
from localcloud.batch.wire.reader import Reader

_OPTIONS = tuple(option.value for option in Deallocation)
_PATCHABLE = (
    "displayName",
    "vmSize",
    "taskSlotsPerNode",
    "taskSchedulingPolicy",
    "enableInterNodeCommunication",
    "virtualMachineConfiguration",
    "networkConfiguration",
    "userAccounts",
    "mountConfiguration",
    "upgradePolicy",
    "targetNodeCommunicationMode",
    "startTask",
    "certificateReferences",
    "applicationPackageReferences",
    "metadata",
    "resourceTags",
)
_REPLACED = ("startTask", "certificateReferences", "applicationPackageReferences", "metadata")
_ALWAYS_PATCHABLE = frozenset({*_REPLACED, "displayName", "targetNodeCommunicationMode"})


async def create(call: Call) -> web.Response:
    spec = read_pool(call.reader())
    with call.service.operation() as account:
        if spec.autoscale_formula is not None:
            account.world.autoscaler.check_interval(spec.autoscale_interval)
        pool = account.create_pool(spec)
        return call.done(201, revision=pool.revision, location=f"{call.base}/pools/{pool.id}")


async def list_all(call: Call) -> web.Response:
    pools = sorted(call.account.pools.items())
    return call.page(pool_resource(call.base), (pool for _, pool in pools), lambda pool: pool.id.lower())


async def get(call: Call) -> web.Response:
    pool = call.account.pool(call.parts[1])
    return call.entity(pool_resource(call.base), pool, pool.revision)


async def exists(call: Call) -> web.Response:
    pool = call.account.pool(call.parts[1])
    call.check(pool.revision)
    return call.done(200, revision=pool.revision)


async def delete(call: Call) -> web.Response:
    with call.service.operation() as account:
        _checked(call, account)
        account.delete_pool(call.parts[1])
    return call.done(202)


async def patch(call: Call) -> web.Response:
    """What is given replaces what was; the rest stays."""
    reader = call.reader()
    with call.service.operation() as account:
        pool = _checked(call, account)
        changes = {k: v for k, v in reader.document.items() if v is not None}
        for name in changes:
            if name not in _PATCHABLE:
                raise Refused("UnsupportedProperty", values=(("PropertyName", name),))
        if pool.nodes and any(name not in _ALWAYS_PATCHABLE for name in changes):
            raise Refused(
                "OperationInvalidForCurrentState",
                values=(("Reason", "This property can be changed only while the pool has no nodes"),),
            )
        _apply(account, pool, changes)
        return call.done(200, revision=pool.revision)


async def replace_properties(call: Call) -> web.Response:
    """What is not given is removed."""
    reader = call.reader()
    for name in ("applicationPackageReferences", "metadata"):
        if name not in reader.document:
            raise Refused("MissingRequiredProperty", values=(("PropertyName", name),))
    with call.service.operation() as account:
        pool = _checked(call, account)
        _apply(account, pool, {name: reader.document.get(name) for name in _REPLACED})
        return call.done(204, revision=pool.revision)


def _apply(account: Account, pool: Pool, changes: dict[str, object]) -> None:
    document = {**pool.spec.document, **changes}
    account.update_pool(
        pool.id, read_pool(Reader({k: v for k, v in document.items() if v is not None}), pool_id=pool.id)
    )


def _checked(call: Call, account: Account) -> Pool:
    pool = account.pool(call.parts[1])
    call.check(pool.revision)
    return pool


async def resize(call: Call) -> web.Response:
    reader = call.reader()
    if not reader.has("targetDedicatedNodes") and not reader.has("targetLowPriorityNodes"):
        raise Refused("MissingRequiredProperty", values=(("PropertyName", "targetDedicatedNodes"),))
    with call.service.operation() as account:
        pool = _checked(call, account)
        account.resize_pool(
            pool.id,
            dedicated=_target(reader, "targetDedicatedNodes"),
            low_priority=_target(reader, "targetLowPriorityNodes"),
            option=_option(reader),
            timeout=read_resize_timeout(reader),
        )
        return call.done(202, revision=pool.revision)


def _target(reader: Reader, name: str) -> int | None:
    return reader.integer(name, 0, least=0) if reader.has(name) else None


def _option(reader: Reader, name: str = "nodeDeallocationOption") -> Deallocation:
    return Deallocation(reader.choice(name, "requeue", _OPTIONS))


async def stop_resize(call: Call) -> web.Response:
    with call.service.operation() as account:
        pool = _checked(call, account)
        account.stop_resize(pool.id)
        return call.done(202, revision=pool.revision)


async def remove_nodes(call: Call) -> web.Response:
    reader = call.reader()
    ids = tuple(str(node_id) for node_id in reader.array("nodeList"))
    with call.service.operation() as account:
        pool = _checked(call, account)
        account.remove_nodes(pool.id, ids, option=_option(reader), timeout=read_resize_timeout(reader))
        return call.done(202, revision=pool.revision)


async def enable_autoscale(call: Call) -> web.Response:
    reader = call.reader()
    with call.service.operation() as account:
        pool = _checked(call, account)
        interval = reader.duration("autoScaleEvaluationInterval", 0.0) or None
        if interval is not None:
            account.world.autoscaler.check_interval(interval)
        account.enable_autoscale(pool.id, reader.text("autoScaleFormula"), interval)
        return call.done(200, revision=pool.revision)


async def disable_autoscale(call: Call) -> web.Response:
    with call.service.operation() as account:
        pool = account.pool(call.parts[1])
        account.disable_autoscale(pool.id)
        return call.done(200, revision=pool.revision)


async def evaluate_autoscale(call: Call) -> web.Response:
    formula = call.reader().text("autoScaleFormula")
    if formula is None:
        raise invalid_property("autoScaleFormula", formula, "A formula must be given")
    with call.service.operation() as account:
        run = account.evaluate_autoscale(call.parts[1], formula)
    return call.json("Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun", autoscale_run_json(run) or {})


async def node_counts(call: Call) -> web.Response:
    pools = sorted(call.account.pools.items())
    return call.page(node_counts_resource(), (pool for _, pool in pools), lambda pool: pool.id.lower(), most=10)


async def supported_images(call: Call) -> web.Response:
    return call.page(image_resource(), SUPPORTED_IMAGES, lambda image: image.order)


async def usage_metrics(call: Call) -> web.Response:
    """Batch gives hours that are over; nothing here lives long enough to need them."""
    return call.json("poolusagemetrics", {"value": []}, element=False)
