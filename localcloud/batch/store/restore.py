"""Puts what a store remembers back into an account that was just made."""

import json

from localcloud.batch.core import Account
from localcloud.batch.core.entities import Job
from localcloud.batch.core.history import History
from localcloud.batch.store import records
from localcloud.batch.store.sqlite import SqliteStore
from localcloud.batch.wire.jobs import read_job, read_schedule
from localcloud.batch.wire.pools import read_pool
from localcloud.batch.wire.reader import Reader
from localcloud.batch.wire.tasks import read_task


def remembered_time(store: SqliteStore) -> float | None:
    """The service time of the last commit: the clock goes on from there."""
    text = store.meta("clock")
    return None if text is None else float(json.loads(text)[0])


def restore(account: Account, store: SqliteStore) -> None:
    """Fill an empty account. What was running when the service died is requeued."""
    text = store.meta("clock")
    if text is None:
        return
    world = account.world
    _, revisions, runs = json.loads(text)
    world.continue_from(revisions, runs)
    for _, document, status in store.rows("pool"):
        pool = records.read_pool_record(status, read_pool(Reader(document), pool_id=status["id"]))
        pool.samples = History()
        for at, row in store.samples(pool.id):
            pool.samples.record(at, row)
        world.pools[pool.id.lower()] = pool
        store.remember(pool)
    for owner, _, status in store.rows("node"):
        node = records.read_node_record(status, world.pools[owner])
        node.pool.nodes[node.id.lower()] = node
        store.remember(node)
    for _, document, status in store.rows("job"):
        job = records.read_job_record(status, read_job(Reader(document), job_id=status["id"]))
        world.jobs[job.id.lower()] = job
        store.remember(job)
    for owner, document, status in store.rows("task"):
        job = world.jobs[owner]
        spec = read_task(Reader(document), manager=_is_manager(job, document))
        task = records.read_task_record(status, spec, job)
        job.tasks[task.id.lower()] = task
        store.remember(task)
    for _, document, status in store.rows("schedule"):
        schedule = records.read_schedule_record(status, read_schedule(Reader(document)))
        world.schedules[schedule.id.lower()] = schedule
        store.remember(schedule)
    account.recover()


def _is_manager(job: Job, document: records.Record) -> bool:
    manager = job.spec.manager
    return manager is not None and manager.id.lower() == str(document.get("id", "")).lower()
