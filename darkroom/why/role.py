"""Which role is missing, where the function app or the operator is refused. docs/azure.md has the whole table."""

from __future__ import annotations

import re

from shared.app_settings import StorageSettings

APP_ROLES = {
    "images": "Darkroom blob reader",
    "converted": "Darkroom blob pruner",
    "manifests": "Darkroom blob keeper",
    "outcomes": "Darkroom blob pruner",
    "quarantine": "Darkroom blob keeper",
}
"""What the function app's identity needs on each container (infra/permissions.json)."""
APP_BATCH_ROLE = "Darkroom Batch dispatcher"
OPERATOR_ROLES = {
    "images": "Storage Blob Data Reader (to drop images: Contributor)",
    "converted": "Storage Blob Data Reader (to clean: Contributor)",
    "manifests": "Storage Blob Data Reader (to clean: Contributor)",
    "outcomes": "Storage Blob Data Reader (to clean: Contributor)",
    "quarantine": "Storage Blob Data Reader (to replay or drop: Contributor)",
}
"""What the operator needs on each container."""
_REFUSED = re.compile(r"\b40[13] [A-Z]")
"""A status and the service's word for it, as the app's errors have them; names of blobs may hold any number."""


def is_denied(code: str, message: str) -> bool:
    """Whether an error of the app tells of a missing right."""
    return code == "AccessDeniedError" or _REFUSED.search(message) is not None


def containers(storage: StorageSettings) -> dict[str, str]:
    """The containers by what they are for."""
    return {
        "images": storage.images,
        "converted": storage.converted,
        "manifests": storage.manifests,
        "outcomes": storage.outcomes,
        "quarantine": storage.quarantine,
    }


def app_advice(message: str, storage: StorageSettings) -> str:
    """What the function app's identity needs to be given, by the words of its refusal."""
    needed = f"{APP_BATCH_ROLE} on the Batch account"
    for purpose, name in containers(storage).items():
        if f"container {name!r}" in message:
            needed = f"{APP_ROLES[purpose]} on container {name!r}"
    return (
        f"Role needed by the app's identity: {needed}; azd provision gives it, and it takes minutes to hold. "
        "On one machine: the app's STORAGE_CONNECTION_STRING or BATCH_KEY does not allow it."
    )
