"""Whether the work that is there moves: inboxes, manifests, jobs, tasks. `judge_work` is pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from darkroom.connection import Connection
from darkroom.failure import CommandError
from darkroom.logs.finding import TaskAt, read_file
from darkroom.state_word import state_word
from darkroom.why.finding import Code, Finding, Weight
from darkroom.why.pool import Pending
from shared.app_settings import PipelineSettings

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTask:
    """A task that failed and was not collected yet."""

    job: str
    id: str
    failure: str
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is under way. Ages in seconds."""

    inboxes: int
    oldest_inbox: float
    refused: tuple[str, ...]
    manifests: int
    without_task: int
    oldest_without_task: float
    jobs: dict[str, str]
    """State of each job that an open manifest names, by id; `missing` where it is gone."""
    pending: Pending
    failed: tuple[FailedTask, ...]


def judge_work(work: Work, settings: PipelineSettings, *, patience: float) -> list[Finding]:
    """What does not move though it should have for `patience` seconds."""
    findings = []
    if work.inboxes and work.oldest_inbox > settings.manifest_max_age + patience:
        findings.append(
            Finding(
                code=Code.DISPATCH_BEHIND,
                weight=Weight.BLOCKED,
                what=f"{work.inboxes} inbox(es) of arrivals wait; the oldest for {work.oldest_inbox / 60:.0f} minutes.",
                advice="Dispatch does not run, or fails: see timer-late and stage-failed.",
            )
        )
    if work.without_task and work.oldest_without_task > patience:
        findings.append(
            Finding(
                code=Code.DISPATCH_BEHIND,
                weight=Weight.BLOCKED,
                what=f"{work.without_task} manifest(s) have no task; the oldest for "
                f"{work.oldest_without_task / 60:.0f} minutes.",
                advice="Dispatch cannot submit: see its error (stage-failed), quota, and pool-missing.",
            )
        )
    if work.refused:
        findings.append(
            Finding(
                code=Code.INBOX_REFUSED,
                weight=Weight.SLOWED,
                what=f"{len(work.refused)} inbox(es) could not be read and were set aside.",
                advice="Mostly written by another release. Their images come again by the next sweep.",
                evidence=work.refused[:_SHOWN],
            )
        )
    for job, state in work.jobs.items():
        if state in {"disabled", "disabling"}:
            findings.append(
                Finding(
                    code=Code.JOB_DISABLED,
                    weight=Weight.BLOCKED,
                    what=f"Job {job} is {state}: none of its tasks starts.",
                    advice=f"az batch job enable --job-id {job}",
                )
            )
    if work.failed:
        findings.append(_failing(work.failed))
    if not (work.inboxes or work.manifests or work.refused):
        findings.append(
            Finding(
                code=Code.NOTHING_WAITS,
                weight=Weight.NOTE,
                what="Nothing waits: no arrival in an inbox, no open manifest, no task.",
                advice="If you dropped images: darkroom why IMAGE, and darkroom sweep.",
            )
        )
    return findings


def _failing(failed: tuple[FailedTask, ...]) -> Finding:
    shown = failed[0]
    return Finding(
        code=Code.TASKS_FAIL,
        weight=Weight.SLOWED,
        what=f"{len(failed)} task(s) failed. What they left undone is tried again, MAX_ATTEMPTS times in all.",
        advice=f"darkroom logs {shown.id} shows what the task printed.",
        evidence=(f"task {shown.id} in {shown.job}: {shown.failure}", *shown.last_lines),
    )


async def look_at_work(connection: Connection) -> Work:
    """Lists what is open (as long as the work is, not as the containers are), and asks for the jobs named there."""
    now = datetime.now(UTC)
    container = await connection.container(connection.settings.storage.manifests)
    inboxes = [
        (now - (blob.creation_time or blob.last_modified)).total_seconds()
        async for blob in container.list_blobs(name_starts_with="inbox/")
    ]
    refused = tuple([name async for name in container.list_blob_names(name_starts_with="refused/")])
    manifests = 0
    waiting: list[float] = []
    named: set[str] = set()
    async for blob in container.list_blobs(name_starts_with="sealed/", include=["metadata"]):
        manifests += 1
        job = (blob.metadata or {}).get("job", "")
        if job:
            named.add(job)
        else:
            waiting.append((now - (blob.creation_time or blob.last_modified)).total_seconds())
    jobs, pending, failed = await _ask_jobs(connection, sorted(named))
    return Work(
        inboxes=len(inboxes),
        oldest_inbox=max(inboxes, default=0.0),
        refused=refused,
        manifests=manifests,
        without_task=len(waiting),
        oldest_without_task=max(waiting, default=0.0),
        jobs=jobs,
        pending=pending,
        failed=failed,
    )


async def _ask_jobs(connection: Connection, named: list[str]) -> tuple[dict[str, str], Pending, tuple[FailedTask, ...]]:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 (slow to load)

    client = await connection.batch()
    states: dict[str, str] = {}
    active = running = 0
    failed: list[FailedTask] = []
    for job in named:
        try:
            states[job] = state_word((await client.get_job(job)).state)
            counts = (await client.get_job_task_counts(job)).task_counts
        except ResourceNotFoundError:
            states[job] = "missing"
            continue
        active += counts.active
        running += counts.running
        if counts.failed:
            failed += await _failed_tasks(connection, job, lines=not failed)
    return states, Pending(active=active, running=running), tuple(failed)


async def _failed_tasks(connection: Connection, job: str, *, lines: bool) -> list[FailedTask]:
    """Failed tasks of manifests that are still open; of the first one also the end of its stderr."""
    container = await connection.container(connection.settings.storage.manifests)
    client = await connection.batch()
    found: list[FailedTask] = []
    async for task in client.list_tasks(job, filter="state eq 'completed' and executionInfo/result eq 'failure'"):
        task_id = task.id or ""
        if not await container.get_blob_client(f"sealed/{task_id}.json").exists():
            continue  # collected: its images are on their way again, or in quarantine
        info = task.execution_info
        failure = info.failure_info if info else None
        said = f"{failure.code}: {failure.message}" if failure else f"exit code {info.exit_code if info else None}"
        last: tuple[str, ...] = ()
        if lines and not found:
            try:
                text, _ = await read_file(connection, TaskAt(job=job, task=task), "stderr.txt", last=4096)
                last = tuple(text.splitlines()[-6:])
            except CommandError as error:
                last = (str(error),)
        found.append(FailedTask(job=job, id=task_id, failure=said, last_lines=last))
        if len(found) >= 20:
            break
    return found
