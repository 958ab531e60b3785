"""What the function app and the command line read from their environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import SettingsError
from shared.naming import Naming
from shared.settings import read, setting

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The storage account and its containers. On Azure by identity; a connection string only for loopback."""

    account_url: str = setting(
        "STORAGE_ACCOUNT_URL", "", "Blob endpoint, https://ACCOUNT.blob.core.windows.net; reached by managed identity."
    )
    connection_string: str = setting(
        "STORAGE_CONNECTION_STRING", "", "For Azurite on this machine only; refused for any other host.", secret=True
    )
    images: str = setting("IMAGES_CONTAINER", "images", "Where JPGs land. Never changed by Darkroom.")
    converted: str = setting("CONVERTED_CONTAINER", "converted", "Where PNGs are written.")
    manifests: str = setting("MANIFESTS_CONTAINER", "manifests", "Inboxes, sealed manifests, archive, state.")
    outcomes: str = setting("OUTCOMES_CONTAINER", "outcomes", "What workers did.")
    quarantine: str = setting("QUARANTINE_CONTAINER", "quarantine", "One document an image that cannot be converted.")
    scripts: str = setting("SCRIPTS_CONTAINER", "scripts", "The worker's packages, by content hash.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """The Batch account, its pool, and how a task starts the worker."""

    endpoint: str = setting("BATCH_ENDPOINT", "", "Account endpoint, https://ACCOUNT.REGION.batch.azure.com.")
    account: str = setting("BATCH_ACCOUNT", "", "Account name; only for a Batch service on this machine.")
    key: str = setting(
        "BATCH_KEY", "", "Shared key; only for a Batch service on this machine; refused elsewhere.", secret=True
    )
    pool_id: str = setting("BATCH_POOL_ID", "darkroom", "The pool that runs the tasks.")
    pool_create: bool = setting(
        "BATCH_POOL_CREATE",
        False,
        "Create the pool when it is missing. For one machine: on Azure the deployment creates it, with its identity.",
    )
    worker_command: str = setting(
        "WORKER_COMMAND", "python3 -m worker", "A task's command line. No blob or manifest name is ever part of it."
    )
    worker_package: str = setting(
        "WORKER_PACKAGE", "", "Blob in the scripts container that a task unpacks and runs; empty: the node has it."
    )
    worker_image: str = setting(
        "WORKER_IMAGE",
        "",
        "Container image that tasks run in, REGISTRY/NAME@sha256:DIGEST; its pool must have a container configuration.",
    )
    worker_identity_client_id: str = setting(
        "WORKER_IDENTITY_CLIENT_ID", "", "Client id of the pool's user-assigned identity, given to the worker."
    )
    worker_identity_resource_id: str = setting(
        "WORKER_IDENTITY_RESOURCE_ID", "", "Resource id of the same identity, with which Batch fetches the package."
    )
    request_deadline: float = setting(
        "BATCH_DEADLINE", 45.0, "How long one stage may spend on Batch requests.", unit="seconds", at_least=5
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """What the pool's autoscale formula is built from."""

    max_nodes: int = setting("POOL_MAX_NODES", 10, "Cap on nodes of both kinds.", at_least=1, at_most=5000)
    slots_per_node: int = setting("POOL_SLOTS_PER_NODE", 1, "Tasks a node runs at once.", at_least=1, at_most=256)
    dedicated_nodes: int = setting(
        "POOL_DEDICATED_NODES", 0, "Dedicated nodes that work keeps at least (0: all Spot).", at_least=0, at_most=5000
    )
    spill_over: bool = setting(
        "POOL_SPILL_OVER", False, "Replace preempted Spot nodes by dedicated ones while work is pending."
    )
    scale_down_patience: int = setting(
        "POOL_SCALE_DOWN_PATIENCE",
        20,
        "One node stays this long after the last of recurring work.",
        unit="minutes",
        at_least=0,
    )
    burst_nodes: int = setting(
        "POOL_BURST_NODES", 0, "Most nodes added in one evaluation (0: no limit).", at_least=0, at_most=5000
    )
    evaluation_interval: int = setting(
        "POOL_EVALUATION_INTERVAL", 5, "Time between evaluations.", unit="minutes", at_least=5, at_most=1440
    )
    vm_size: str = setting("POOL_VM_SIZE", "standard_d2ads_v5", "VM size of a node (when Darkroom creates the pool).")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """The stages' own knobs."""

    naming: Naming = setting("NAMING", Naming.REPLACE, "a.jpg becomes a.png (replace) or a.jpg.png (append).")
    manifest_max_images: int = setting(
        "MANIFEST_MAX_IMAGES", 500, "Images in one manifest (one task).", at_least=1, at_most=10000
    )
    manifest_max_bytes: int = setting(
        "MANIFEST_MAX_BYTES", 2_000_000_000, "Source bytes in one manifest.", unit="bytes", at_least=1
    )
    manifest_max_age: float = setting(
        "MANIFEST_MAX_AGE", 60.0, "An arrival waits at most this long to fill a manifest.", unit="seconds", at_least=0
    )
    ingest_deadline: float = setting(
        "INGEST_DEADLINE",
        25.0,
        "An event not durable by then fails (Event Grid gives 30 s).",
        unit="seconds",
        at_least=1,
        at_most=29,
    )
    max_attempts: int = setting(
        "MAX_ATTEMPTS", 3, "Tasks that may fail on an image before it is quarantined.", at_least=1, at_most=100
    )
    task_retries: int = setting(
        "TASK_RETRIES", 1, "Times that Batch itself runs a failed task again.", at_least=0, at_most=100
    )
    task_max_minutes: int = setting(
        "TASK_MAX_MINUTES", 120, "Batch ends a task that runs longer.", unit="minutes", at_least=1
    )
    sweep_min_age: float = setting(
        "SWEEP_MIN_AGE", 600.0, "The sweep leaves younger images to their events.", unit="seconds", at_least=0
    )
    sweep_delete_orphans: bool = setting(
        "SWEEP_DELETE_ORPHANS", False, "Delete PNGs whose source is gone (else they are only reported)."
    )
    retention_days: int = setting(
        "RETENTION_DAYS", 30, "Archives, outcomes, jobs and journals are pruned when older.", unit="days", at_least=1
    )
    topic_endpoint: str = setting(
        "EVENTGRID_TOPIC_ENDPOINT", "", "Custom topic for Darkroom.ManifestCompleted; empty: no event."
    )
    topic_key: str = setting(
        "EVENTGRID_TOPIC_KEY", "", "For a topic on this machine only; refused for any other host.", secret=True
    )
    dispatch_schedule: str = setting("DISPATCH_SCHEDULE", "0 * * * * *", "NCRONTAB of dispatch.")
    collect_schedule: str = setting("COLLECT_SCHEDULE", "30 * * * * *", "NCRONTAB of collect.")
    sweep_schedule: str = setting("SWEEP_SCHEDULE", "0 17 * * * *", "NCRONTAB of the sweep.")

    @property
    def schedules(self) -> dict[str, str]:
        """The schedules by stage."""
        return {
            "dispatch": self.dispatch_schedule,
            "collect": self.collect_schedule,
            "sweep": self.sweep_schedule,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """Everything that the function app reads."""

    storage: StorageSettings
    batch: BatchSettings
    pool: PoolSettings
    pipeline: PipelineSettings


GROUPS = (StorageSettings, BatchSettings, PoolSettings, PipelineSettings)


def read_app_settings(environ: Mapping[str, str]) -> AppSettings:
    """The function app's settings. Raises SettingsError, naming the keys, when they cannot work together."""
    settings = AppSettings(
        storage=read(StorageSettings, environ),
        batch=read(BatchSettings, environ),
        pool=read(PoolSettings, environ),
        pipeline=read(PipelineSettings, environ),
    )
    _check_storage(settings.storage)
    _check_loopback("BATCH_KEY", settings.batch.key, settings.batch.endpoint, "BATCH_ENDPOINT")
    _check_loopback(
        "EVENTGRID_TOPIC_KEY", settings.pipeline.topic_key, settings.pipeline.topic_endpoint, "EVENTGRID_TOPIC_ENDPOINT"
    )
    if not settings.batch.endpoint:
        raise SettingsError("BATCH_ENDPOINT: must be set, to https://ACCOUNT.REGION.batch.azure.com")
    if settings.batch.key and not settings.batch.account:
        raise SettingsError("BATCH_ACCOUNT: must be set where BATCH_KEY is: the key is that account's")
    if settings.pool.dedicated_nodes > settings.pool.max_nodes:
        raise SettingsError("POOL_DEDICATED_NODES: must not be greater than POOL_MAX_NODES")
    return settings


def read_storage_settings(environ: Mapping[str, str]) -> StorageSettings:
    """The storage settings alone. Raises SettingsError, naming the keys, when they cannot work together."""
    settings = read(StorageSettings, environ)
    _check_storage(settings)
    return settings


def blob_endpoint(storage: StorageSettings) -> str:
    """The account's blob URL, from whichever of the two settings gives it."""
    if storage.account_url:
        return storage.account_url.rstrip("/")
    parts = dict(part.split("=", 1) for part in storage.connection_string.split(";") if "=" in part)
    endpoint = parts.get("BlobEndpoint", "")
    if not endpoint and parts.get("UseDevelopmentStorage", "").lower() == "true":
        endpoint = "http://127.0.0.1:10000/devstoreaccount1"
    return endpoint.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def _check_storage(storage: StorageSettings) -> None:
    if bool(storage.account_url) == bool(storage.connection_string):
        raise SettingsError(
            "STORAGE_ACCOUNT_URL, STORAGE_CONNECTION_STRING: set exactly one of them; the first on Azure (managed "
            "identity), the second for Azurite on this machine"
        )
    _check_loopback("STORAGE_CONNECTION_STRING", storage.connection_string, blob_endpoint(storage), "its BlobEndpoint")


def _check_loopback(key: str, value: str, url: str, url_key: str) -> None:
    if value and not is_loopback(url):
        raise SettingsError(
            f"{key}: keys are accepted only for services on this machine, and {url_key} points elsewhere; "
            "on Azure leave it out: managed identity is used"
        )
