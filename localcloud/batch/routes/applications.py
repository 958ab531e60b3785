"""/applications: there are none here; application packages live in a storage account of Azure's management side."""

from aiohttp import web

from localcloud.batch.core.errors import Refused
from localcloud.batch.routes.call import Call


async def list_all(call: Call) -> web.Response:
    return call.json("applications", {"value": []}, element=False)


async def get(call: Call) -> web.Response:
    raise Refused("ApplicationNotFound", values=(("ApplicationId", call.parts[1]),))
