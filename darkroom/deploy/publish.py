"""Puts a worker package where nodes fetch it: a blob named by its content, written once and never changed."""

from __future__ import annotations

import time
from collections.abc import Callable

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError
from azure.storage.blob import ContainerClient

from darkroom.deploy.package import Package
from shared.errors import RetryableError

FORBIDDEN_SECONDS = 600.0
"""A role that was assigned a moment ago takes effect within minutes (Azure RBAC: up to ten)."""

_PAUSE = 10.0


def publish(
    package: Package,
    scripts: ContainerClient,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Upload the package unless its blob is there already; whether it was uploaded.

    Waits for the deployer's role to take effect. Raises RetryableError when it does not within FORBIDDEN_SECONDS.
    """
    deadline = clock() + FORBIDDEN_SECONDS
    while True:
        try:
            with package.path.open("rb") as content:
                scripts.get_blob_client(package.blob).upload_blob(
                    content, overwrite=False, metadata={"digest": package.digest}
                )
        except ResourceExistsError:
            return False
        except ClientAuthenticationError:
            raise
        except HttpResponseError as error:
            if error.status_code != 403:
                raise
            if clock() > deadline:
                raise RetryableError(
                    f"{scripts.url}: not allowed to write after {FORBIDDEN_SECONDS:.0f} s. The deployer needs the role "
                    "'Darkroom blob writer' there (infra/permissions.json), and in a private network its address in "
                    "DARKROOM_ALLOWED_IP_ADDRESSES."
                ) from error
            sleep(_PAUSE)
        else:
            return True
