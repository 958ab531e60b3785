"""/pools/{pool}/nodes"""

from datetime import UTC, datetime

from aiohttp import web

from localcloud.batch.core.errors import Refused
from localcloud.batch.core.states import Deallocation, NodeState
from localcloud.batch.routes.call import Call
from localcloud.batch.wire.nodes import node_resource
from localcloud.batch.wire.pools import scrub

_OPTIONS = tuple(option.value for option in Deallocation)
_SCHEDULING_OPTIONS = ("requeue", "terminate", "taskcompletion")


async def list_all(call: Call) -> web.Response:
    pool = call.account.pool(call.parts[1])
    return call.page(node_resource(call.base), tuple(pool.nodes.values()), lambda node: node.serial)


async def get(call: Call) -> web.Response:
    return call.entity(node_resource(call.base), call.account.node(call.parts[1], call.parts[3]))


async def reboot(call: Call) -> web.Response:
    return _maintain(call, "reboot", "nodeRebootOption")


async def reimage(call: Call) -> web.Response:
    return _maintain(call, "reimage", "nodeReimageOption")


async def deallocate(call: Call) -> web.Response:
    return _maintain(call, "deallocate", "nodeDeallocateOption")


def _maintain(call: Call, what: str, property_name: str) -> web.Response:
    option = Deallocation(call.reader().choice(property_name, "requeue", _OPTIONS))
    with call.service.operation() as account:
        account.maintain_node(call.parts[1], call.parts[3], what, option)
    return call.done(202)


async def start(call: Call) -> web.Response:
    with call.service.operation() as account:
        account.start_node(call.parts[1], call.parts[3])
    return call.done(202)


async def disable_scheduling(call: Call) -> web.Response:
    option = call.reader().choice("nodeDisableSchedulingOption", "requeue", _SCHEDULING_OPTIONS)
    with call.service.operation() as account:
        account.disable_scheduling(call.parts[1], call.parts[3], Deallocation(option))
    return call.done(200)


async def enable_scheduling(call: Call) -> web.Response:
    with call.service.operation() as account:
        account.enable_scheduling(call.parts[1], call.parts[3])
    return call.done(200)


async def remote_login(call: Call) -> web.Response:
    node = call.account.node(call.parts[1], call.parts[3])
    if node.state is NodeState.UNUSABLE:
        raise Refused("NodeStateUnusable")
    if node.state in (NodeState.CREATING, NodeState.PREEMPTED, NodeState.DEALLOCATED):
        raise Refused("NodeNotReady")
    return call.json("remoteloginsettings", {"remoteLoginIPAddress": "127.0.0.1", "remoteLoginPort": 22})


async def create_user(call: Call) -> web.Response:
    """Users are remembered, not made: nodes are this machine."""
    reader = call.reader()
    name = reader.required_text("name")
    with call.service.operation() as account:
        node = account.node(call.parts[1], call.parts[3])
        if name.lower() in node.users:
            raise Refused("NodeUserExists")
        node.users[name.lower()] = reader.boolean("isAdmin", default=False)
        account.world.save(node)
    return call.done(201, location=f"{call.base}{call.path}/{name}")


async def replace_user(call: Call) -> web.Response:
    _user(call)
    return call.done(200)


async def delete_user(call: Call) -> web.Response:
    name = _user(call)
    with call.service.operation() as account:
        node = account.node(call.parts[1], call.parts[3])
        del node.users[name]
        account.world.save(node)
    return call.done(200)


def _user(call: Call) -> str:
    node, name = call.account.node(call.parts[1], call.parts[3]), call.parts[5].lower()
    if name not in node.users:
        raise Refused("NodeUserNotFound")
    return name


async def upload_logs(call: Call) -> web.Response:
    """There is no node agent, so there are no logs of it: nothing is uploaded, and the answer says so."""
    call.reader().required_text("containerUrl")
    node = call.account.node(call.parts[1], call.parts[3])
    name = f"{node.pool.id}/{node.id}/{datetime.now(UTC):%Y%m%d%H%M%S}"
    return call.json("uploadbatchservicelogs", {"virtualDirectoryName": name, "numberOfFilesUploaded": 0})


def _extensions(call: Call) -> list[dict[str, object]]:
    node = call.account.node(call.parts[1], call.parts[3])
    machine = node.pool.spec.document.get("virtualMachineConfiguration") or {}
    return [
        {"provisioningState": "Succeeded", "vmExtension": scrub(extension)}
        for extension in machine.get("extensions") or ()
    ]


async def list_extensions(call: Call) -> web.Response:
    return call.json("extensions", {"value": _extensions(call)}, element=False)


async def get_extension(call: Call) -> web.Response:
    for extension in _extensions(call):
        described = extension["vmExtension"]
        if isinstance(described, dict) and described.get("name") == call.parts[5]:
            return call.json("extensions", extension)
    raise Refused("VMExtensionNotFound")
