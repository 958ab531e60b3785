"""What the worker reads from its environment. The function app passes on what is set in its own environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from shared.naming import Naming
from shared.settings import names, setting


class Profile(StrEnum):
    """What the PNG encoder is tuned for."""

    SPEED = "speed"
    SIZE = "size"


class Metadata(StrEnum):
    """What of EXIF and XMP goes into the PNG."""

    KEEP = "keep"
    STRIP = "strip"


class Log(StrEnum):
    """The form of the worker's log."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionSettings:
    """Policies and limits of one conversion."""

    profile: Profile = setting("WORKER_PROFILE", Profile.SPEED, "Tune PNGs for speed or for size.")
    metadata: Metadata = setting("WORKER_METADATA", Metadata.KEEP, "Keep or strip EXIF and XMP (GPS is in there).")
    accept_truncated: bool = setting(
        "WORKER_ACCEPT_TRUNCATED", False, "Convert what can be read of a truncated file, instead of rejecting it."
    )
    max_pixels: int = setting(
        "WORKER_MAX_PIXELS", 178_000_000, "Larger images are rejected.", unit="pixels", at_least=1
    )
    max_bytes: int = setting("WORKER_MAX_BYTES", 500_000_000, "Larger files are rejected.", unit="bytes", at_least=1)
    max_scans: int = setting(
        "WORKER_MAX_SCANS", 100, "Progressive files of more scans are rejected.", unit="scans", at_least=1
    )
    max_memory: int = setting(
        "WORKER_MAX_MEMORY",
        3_000_000_000,
        "Memory of one converting process; an image that needs more is rejected.",
        unit="bytes",
        at_least=200_000_000,
    )
    max_seconds: float = setting(
        "WORKER_MAX_SECONDS", 120.0, "An image that takes longer is rejected.", unit="seconds", at_least=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How one node works."""

    processes: int = setting("WORKER_PROCESSES", 0, "Processes that convert (0: one a core).", at_least=0, at_most=256)
    pixels_in_flight: int = setting(
        "WORKER_PIXELS_IN_FLIGHT",
        200_000_000,
        "Decoded pixels held at once; one larger image still goes, alone.",
        unit="pixels",
        at_least=1,
    )
    bytes_in_flight: int = setting(
        "WORKER_BYTES_IN_FLIGHT",
        64_000_000,
        "Source bytes fetched ahead at once; one larger file still goes, alone.",
        unit="bytes",
        at_least=1,
    )
    grace: float = setting(
        "WORKER_GRACE",
        15.0,
        "After SIGTERM, what is running may finish for this long.",
        unit="seconds",
        at_least=0,
        at_most=600,
    )
    storage_retries: int = setting(
        "WORKER_STORAGE_RETRIES", 5, "Times that one request to storage is made again.", at_least=0, at_most=50
    )
    log: Log = setting("WORKER_LOG", Log.TEXT, "How a line an image is written on standard output.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Who the worker is on Azure."""

    client_id: str = setting(
        "WORKER_IDENTITY_CLIENT_ID", "", "Client id of the pool's user-assigned identity; empty: the node's only one."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHandSettings:
    """What a manifest would say, for runs without one (`python -m worker --prefix`)."""

    naming: Naming = setting("NAMING", Naming.REPLACE, "a.jpg becomes a.png (replace) or a.jpg.png (append).")


GROUPS = (ConversionSettings, RunSettings)

MANIFEST = "DARKROOM_MANIFEST"
"""Environment variable of a task: the manifest's blob name in the manifests container, `sealed/<id>.json`."""


def environ_of(settings: ConversionSettings) -> dict[str, str]:
    """The environment that reads back as `settings`, for a process that is started with them."""
    return {item.metadata["setting"].name: str(getattr(settings, item.name)) for item in fields(settings)}


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """The worker's settings that are set in the function app's environment, for the task's environment."""
    known = [name for group in GROUPS for name in names(group)]
    return {name: environ[name] for name in known if environ.get(name, "").strip()}
