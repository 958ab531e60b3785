"""A task on a node: settings from the environment, a manifest or a listing, one run, one exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.app_settings import StorageSettings, read_storage_settings
from shared.errors import DocumentError, RetryableError, SettingsError
from shared.manifest import Entry, from_bytes
from shared.naming import Naming
from shared.outcome import undone
from shared.settings import read
from shared.worker_settings import MANIFEST, ByHandSettings, ConversionSettings, IdentitySettings, Log, RunSettings
from worker.blobs import BlobMissingError, Blobs, ContainerMissingError, CredentialsError
from worker.command import Exit
from worker.converters import Converters
from worker.ledger import Ledger
from worker.listing import entries as listed
from worker.notices import NoticeError, heeding
from worker.report import Report
from worker.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the environment and the command line ask for."""

    storage: StorageSettings
    conversion: ConversionSettings
    run: RunSettings
    identity: IdentitySettings
    by_hand: ByHandSettings
    manifest: str
    """The manifest's blob name; empty for a listing."""
    options: argparse.Namespace
    log: Log


def read_task(environ: Mapping[str, str], options: argparse.Namespace) -> Task:
    """The task. Raises SettingsError."""
    manifest = environ.get(MANIFEST, "").strip()
    if options.prefix is None and not manifest:
        raise SettingsError(f"{MANIFEST}: must name a manifest's blob (sealed/ID.json), or give --prefix")
    run = read(RunSettings, environ)
    return Task(
        storage=read_storage_settings(environ),
        conversion=read(ConversionSettings, environ),
        run=run,
        identity=read(IdentitySettings, environ),
        by_hand=read(ByHandSettings, environ),
        manifest="" if options.prefix is not None else manifest,
        options=options,
        log=options.log or run.log,
    )


def main(environ: Mapping[str, str], options: argparse.Namespace) -> Exit:
    """Does the task and says how it went. The processes start before the storage client is even imported."""
    try:
        task = read_task(environ, options)
    except SettingsError as error:
        print(error)  # noqa: T201 (there is no log yet: stdout.txt is where an operator looks)
        return Exit.WRONG
    converters = Converters(task.run.processes or available_cores(), task.conversion, environ)
    try:
        return asyncio.run(_told(task, converters))
    finally:
        converters.close()


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _told(task: Task, converters: Converters) -> Exit:
    """Carries out the task; errors become a line and an exit code."""
    from worker.storage import AzureBlobs  # noqa: PLC0415 (0.4 s, while the converting processes start)

    asked = asyncio.Event()
    blobs = AzureBlobs(task.storage, identity_client_id=task.identity.client_id, retries=task.run.storage_retries)
    report = Report(0, task.log)
    try:
        work = (_manifest if task.manifest else _by_hand)(task, blobs, converters, asked)
        return await heeding(asked, task.run.grace, work)
    except ContainerMissingError as error:
        report.say("error", f"{error}: is it made, and is its name right (IMAGES_CONTAINER and the like)?")
        return Exit.NO_CONTAINER
    except BlobMissingError as error:
        report.say("error", f"the manifest is not there: {error}")
        return Exit.NO_CONTAINER
    except CredentialsError as error:
        report.say("error", f"{error}. The pool's identity needs the roles that docs/security.md names")
        return Exit.NO_CREDENTIALS
    except DocumentError as error:
        report.say("error", str(error))
        return Exit.WRONG
    except (RetryableError, NoticeError) as error:
        report.say("error", f"unfinished, and a retry may finish it: {error}")
        return Exit.UNFINISHED
    finally:
        await blobs.close()


async def _manifest(task: Task, blobs: Blobs, converters: Converters, asked: asyncio.Event) -> Exit:
    storage = task.storage
    where = f"{storage.manifests}/{task.manifest}"
    manifest = from_bytes((await blobs.get(storage.manifests, task.manifest)).data, where=where)
    ledger = Ledger(blobs, storage.outcomes, manifest.id, run_name())
    left = undone(manifest.entries, await ledger.earlier())
    report = Report(len(manifest.entries), task.log)
    report.earlier(len(manifest.entries) - len(left))
    return await _run(task, blobs, converters, left, naming=manifest.naming, report=report, ledger=ledger, asked=asked)


async def _by_hand(task: Task, blobs: Blobs, converters: Converters, asked: asyncio.Event) -> Exit:
    options, images = task.options, task.storage.images
    share = await listed(
        blobs,
        images,
        options.prefix,
        task_id=options.task_id,
        total_tasks=options.total_tasks,
        first=options.first,
    )
    report = Report(len(share), task.log)
    if not share:
        report.say("error", f"no images: container {images!r} has no JPG under {options.prefix!r} for this task")
        return Exit.NO_IMAGES
    return await _run(
        task, blobs, converters, share, naming=task.by_hand.naming, report=report, ledger=None, asked=asked
    )


async def _run(
    task: Task,
    blobs: Blobs,
    converters: Converters,
    entries: list[Entry],
    *,
    naming: Naming,
    report: Report,
    ledger: Ledger | None,
    asked: asyncio.Event,
) -> Exit:
    run = Run(
        blobs,
        converters,
        storage=task.storage,
        naming=naming,
        conversion=task.conversion,
        settings=task.run,
        report=report,
        ledger=ledger,
        asked=asked,
    )
    left = len(entries)
    try:
        left = await run.develop(entries)
    finally:
        report.summary(left)
    return Exit.UNFINISHED if left else Exit.DONE


def run_name() -> str:
    """A name for this run's outcomes: sorts by time, and no other run has it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
