"""Publishing against the real Azurite: once, never over, patient with a role that is new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from darkroom.deploy.package import Package
from darkroom.deploy.publish import FORBIDDEN_SECONDS, publish
from shared.errors import RetryableError
from tests.darkroom.places import KEY

pytestmark = pytest.mark.azurite


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """Something to publish."""
    (tmp_path / "worker-abc.pyz").write_bytes(b"package")
    return Package(path=tmp_path / "worker-abc.pyz", digest="abc")


def signature(container: ContainerClient, permission: str) -> str:
    """A signature that allows as much on the container."""
    return generate_container_sas(
        account_name="devstoreaccount1",
        container_name=container.container_name,
        account_key=KEY,
        permission=ContainerSasPermissions.from_string(permission),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )


def test_a_package_is_published_once(package: Package, scripts: ContainerClient) -> None:
    """The second time it is there already, and is left as it was."""
    assert publish(package, scripts) is True
    package.path.write_bytes(b"never written")
    assert publish(package, scripts) is False
    blob = scripts.get_blob_client("worker-abc.pyz")
    assert blob.download_blob().readall() == b"package"


def test_it_waits_for_a_role_to_take_effect(package: Package, scripts: ContainerClient) -> None:
    """A role that was assigned a moment ago answers 403 for a while; then the package is uploaded."""
    credential = AzureSasCredential(signature(scripts, "r"))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            credential.update(signature(scripts, "rw"))

    with ContainerClient.from_container_url(scripts.url, credential=credential) as deployer:
        assert publish(package, deployer, clock=lambda: sum(pauses), sleep=pause) is True
    assert len(pauses) == 3


def test_it_does_not_wait_for_ever(package: Package, scripts: ContainerClient) -> None:
    """Without the role it ends after ten minutes, and says which role where."""
    pauses: list[float] = []
    credential = AzureSasCredential(signature(scripts, "r"))
    with (
        ContainerClient.from_container_url(scripts.url, credential=credential) as deployer,
        pytest.raises(RetryableError, match="Darkroom blob writer"),
    ):
        publish(package, deployer, clock=lambda: sum(pauses), sleep=pauses.append)
    assert sum(pauses) > FORBIDDEN_SECONDS


def test_another_error_is_told_at_once(package: Package, scripts: ContainerClient) -> None:
    """Only a refusal is waited out."""
    scripts.delete_container()
    with pytest.raises(HttpResponseError, match="ContainerNotFound"):
        publish(package, scripts, sleep=lambda seconds: pytest.fail("it waited"))
