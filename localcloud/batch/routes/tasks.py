"""/jobs/{job}/tasks and /jobs/{job}/addtaskcollection"""

from typing import Any

from aiohttp import web

from localcloud.batch.core import Account
from localcloud.batch.core.entities import Job, Task
from localcloud.batch.core.errors import Refused
from localcloud.batch.routes.call import Call
from localcloud.batch.wire.errors import error_body, status_of
from localcloud.batch.wire.instants import time_text
from localcloud.batch.wire.reader import Reader
from localcloud.batch.wire.resources import etag
from localcloud.batch.wire.tasks import read_task, task_resource

MAX_COLLECTION = 100
MAX_COLLECTION_BYTES = 1024 * 1024


async def create(call: Call) -> web.Response:
    reader = call.reader()
    with call.service.operation() as account:
        account.job(call.parts[1])
        task = account.add_task(call.parts[1], read_task(reader))
        location = f"{call.base}/jobs/{task.job.id}/tasks/{task.id}"
        return call.done(201, revision=task.revision, location=location)


async def create_many(call: Call) -> web.Response:
    """Each task succeeds or fails by itself; the answer says which."""
    if len(call.body) > MAX_COLLECTION_BYTES:
        raise Refused("RequestBodyTooLarge", values=(("MaxLimit", str(MAX_COLLECTION_BYTES)),))
    items = list(call.reader().objects("value"))
    if not 1 <= len(items) <= MAX_COLLECTION:
        raise Refused("InvalidRequestBody", values=(("Reason", "The collection must hold 1 to 100 tasks"),))
    with call.service.operation() as account:
        job = account.job(call.parts[1])
        results = [_add(call, account, job, item) for item in items]
        account.world.dispatcher.settle()
    return call.json("taskaddresult", {"value": results}, element=False)


def _add(call: Call, account: Account, job: Job, item: Reader) -> dict[str, Any]:
    try:
        task = account.world.task_rules.add(job, read_task(item))
    except Refused as refused:
        status = "servererror" if status_of(refused.code) >= 500 else "clienterror"
        error = error_body(refused, base=call.base, request_id=call.extra["request-id"], now=account.now)
        del error["odata.metadata"]
        return {"status": status, "taskId": str(item.document.get("id", "")), "error": error}
    return {
        "status": "success",
        "taskId": task.id,
        "eTag": etag(task.revision),
        "lastModified": time_text(task.revision.modified_at),
        "location": f"{call.base}/jobs/{job.id}/tasks/{task.id}",
    }


async def list_all(call: Call) -> web.Response:
    tasks = tuple(call.account.job(call.parts[1]).tasks.values())
    return call.page(task_resource(call.base), tasks, lambda task: task.seq)


async def get(call: Call) -> web.Response:
    task = call.account.task(call.parts[1], call.parts[3])
    return call.entity(task_resource(call.base), task, task.revision)


async def delete(call: Call) -> web.Response:
    with call.service.operation() as account:
        task = _checked(call, account)
        account.delete_task(task.job.id, task.id)
    return call.done(200)


async def replace(call: Call) -> web.Response:
    """Only constraints can be changed; without them they go back to their defaults."""
    reader = call.reader()
    with call.service.operation() as account:
        task = _checked(call, account)
        document = {k: v for k, v in task.spec.document.items() if k != "constraints"}
        if reader.has("constraints"):
            document["constraints"] = reader.document["constraints"]
        account.update_task(task.job.id, task.id, read_task(Reader(document)))
        return call.done(200, revision=task.revision)


async def terminate(call: Call) -> web.Response:
    with call.service.operation() as account:
        task = _checked(call, account)
        account.terminate_task(task.job.id, task.id)
        return call.done(204, revision=task.revision)


async def reactivate(call: Call) -> web.Response:
    with call.service.operation() as account:
        task = _checked(call, account)
        account.reactivate_task(task.job.id, task.id)
        return call.done(204, revision=task.revision)


async def subtasks(call: Call) -> web.Response:
    call.account.task(call.parts[1], call.parts[3])
    return call.json("subtasks", {"value": []}, element=False)


def _checked(call: Call, account: Account) -> Task:
    task = account.task(call.parts[1], call.parts[3])
    call.check(task.revision)
    return task
