"""/jobs and /jobschedules"""

from aiohttp import web

from localcloud.batch.core import Account
from localcloud.batch.core.entities import Job, Schedule
from localcloud.batch.core.errors import Refused
from localcloud.batch.routes.call import Call
from localcloud.batch.wire.jobs import (
    job_resource,
    preparation_statuses,
    read_job,
    read_schedule,
    schedule_resource,
    task_counts_json,
)
from localcloud.batch.wire.reader import Reader

_PATCHABLE = frozenset(
    {
        "priority",
        "allowTaskPreemption",
        "maxParallelTasks",
        "constraints",
        "poolInfo",
        "onAllTasksComplete",
        "metadata",
        "networkConfiguration",
    }
)
_SCHEDULE_PATCHABLE = frozenset({"schedule", "jobSpecification", "metadata"})


async def create(call: Call) -> web.Response:
    spec = read_job(call.reader())
    with call.service.operation() as account:
        job = account.create_job(spec)
        return call.done(201, revision=job.revision, location=f"{call.base}/jobs/{job.id}")


async def list_all(call: Call) -> web.Response:
    jobs = tuple(call.account.jobs.values())
    return call.page(job_resource(call.base), jobs, lambda job: job.seq)


async def get(call: Call) -> web.Response:
    job = call.account.job(call.parts[1])
    return call.entity(job_resource(call.base), job, job.revision)


async def delete(call: Call) -> web.Response:
    with call.service.operation() as account:
        account.delete_job(_checked(call, account).id)
    return call.done(202)


async def patch(call: Call) -> web.Response:
    """What is given replaces what was; the rest stays."""
    return _change(call, call.reader(), keep=True)


async def replace(call: Call) -> web.Response:
    """What is not given goes back to its default."""
    reader = call.reader()
    reader.required_object("poolInfo")
    return _change(call, reader, keep=False)


def _change(call: Call, reader: Reader, *, keep: bool) -> web.Response:
    with call.service.operation() as account:
        job = _checked(call, account)
        changes = {k: v for k, v in reader.document.items() if v is not None and k in _PATCHABLE}
        old = {k: v for k, v in job.spec.document.items() if keep or k not in _PATCHABLE}
        document = {"poolInfo": {"poolId": job.pool_id}, **old, **changes}
        account.update_job(job.id, read_job(Reader(document), job_id=job.id))
        return call.done(200, revision=job.revision)


async def disable(call: Call) -> web.Response:
    reader = call.reader()
    if not reader.has("disableTasks"):
        raise Refused("MissingRequiredProperty", values=(("PropertyName", "disableTasks"),))
    option = reader.choice("disableTasks", "requeue", ("requeue", "terminate", "wait"))
    with call.service.operation() as account:
        job = _checked(call, account)
        account.disable_job(job.id, option)
        return call.done(202, revision=job.revision)


async def enable(call: Call) -> web.Response:
    with call.service.operation() as account:
        job = _checked(call, account)
        account.enable_job(job.id)
        return call.done(202, revision=job.revision)


async def terminate(call: Call) -> web.Response:
    reason = call.reader().text("terminateReason")
    with call.service.operation() as account:
        job = _checked(call, account)
        account.terminate_job(job.id, reason)
        return call.done(202, revision=job.revision)


async def task_counts(call: Call) -> web.Response:
    return call.json("taskcounts", task_counts_json(call.account.job(call.parts[1])))


async def preparation_status(call: Call) -> web.Response:
    statuses = preparation_statuses(call.account.job(call.parts[1]), call.base)
    return call.json("jobpreparationandreleasetaskstatuslist", {"value": statuses}, element=False)


def _checked(call: Call, account: Account) -> Job:
    job = account.job(call.parts[1])
    call.check(job.revision)
    return job


# --- job schedules ---


async def create_schedule(call: Call) -> web.Response:
    spec = read_schedule(call.reader())
    with call.service.operation() as account:
        schedule = account.create_schedule(spec)
        return call.done(201, revision=schedule.revision, location=f"{call.base}/jobschedules/{schedule.id}")


async def list_schedules(call: Call) -> web.Response:
    schedules = sorted(call.account.schedules.items())
    return call.page(schedule_resource(call.base), (s for _, s in schedules), lambda s: s.id.lower())


async def get_schedule(call: Call) -> web.Response:
    schedule = call.account.schedule(call.parts[1])
    return call.entity(schedule_resource(call.base), schedule, schedule.revision)


async def schedule_exists(call: Call) -> web.Response:
    schedule = call.account.schedule(call.parts[1])
    call.check(schedule.revision)
    return call.done(200, revision=schedule.revision)


async def patch_schedule(call: Call) -> web.Response:
    return _change_schedule(call, keep=True)


async def replace_schedule(call: Call) -> web.Response:
    return _change_schedule(call, keep=False)


def _change_schedule(call: Call, *, keep: bool) -> web.Response:
    reader = call.reader()
    if not keep:
        reader.required_object("jobSpecification")
    with call.service.operation() as account:
        schedule = _checked_schedule(call, account)
        changes = {k: v for k, v in reader.document.items() if v is not None and k in _SCHEDULE_PATCHABLE}
        old = {k: v for k, v in schedule.spec.document.items() if keep or k not in _SCHEDULE_PATCHABLE}
        account.update_schedule(schedule.id, read_schedule(Reader({**old, **changes})))
        return call.done(200, revision=schedule.revision)


async def disable_schedule(call: Call) -> web.Response:
    with call.service.operation() as account:
        schedule = _checked_schedule(call, account)
        account.disable_schedule(schedule.id)
        return call.done(204, revision=schedule.revision)


async def enable_schedule(call: Call) -> web.Response:
    with call.service.operation() as account:
        schedule = _checked_schedule(call, account)
        account.enable_schedule(schedule.id)
        return call.done(204, revision=schedule.revision)


async def terminate_schedule(call: Call) -> web.Response:
    with call.service.operation() as account:
        schedule = _checked_schedule(call, account)
        account.terminate_schedule(schedule.id)
        return call.done(202, revision=schedule.revision)


async def delete_schedule(call: Call) -> web.Response:
    with call.service.operation() as account:
        account.delete_schedule(_checked_schedule(call, account).id)
    return call.done(202)


async def schedule_jobs(call: Call) -> web.Response:
    account = call.account
    jobs = account.world.schedule_rules.jobs(account.schedule(call.parts[1]))
    return call.page(job_resource(call.base), jobs, lambda job: job.seq)


def _checked_schedule(call: Call, account: Account) -> Schedule:
    schedule = account.schedule(call.parts[1])
    call.check(schedule.revision)
    return schedule
