"""What a reader who looks for secrets, wildcards and open doors would look for, in every shape of deployment."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.darkroom.places import KEY
from tests.infra.bicep.evaluate import Deployment
from tests.infra.conftest import INFRA, ROOT

PERMISSIONS = json.loads((INFRA / "permissions.json").read_text(encoding="utf-8"))
BROAD_ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "29fe4964-1e60-436b-bd3a-77fd4c178b3c": "Azure Batch Account Contributor",
    "6aaa78f1-f7de-44ca-8722-c64a23943cae": "Azure Batch Data Contributor",
}


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a resource, with where it is."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts(item, f"{path}[{number}]")
    elif isinstance(value, str):
        yield path, value


def test_no_template_asks_azure_for_a_key() -> None:
    """No listKeys, no SAS, no secure parameter: there is nothing secret to hand around."""
    pattern = re.compile(
        r"\blist(Keys|Secrets|AccountSas|ServiceSas|Credentials)\b|@secure|AccountKey=|SharedAccess", re.IGNORECASE
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(INFRA.rglob("*.bicep"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_no_file_holds_a_key() -> None:
    """In no tracked file: a private key, a signature, or an account key other than everybody's Azurite's."""
    pattern = re.compile(
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|[?&]sig=[A-Za-z0-9%+/]{20,}"
        rb"|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9=])"
    )
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    found = {
        (name.decode(), match.decode())
        for name in tracked
        if name and not name.endswith((b".jpg", b".jpeg", b".png", b"package-lock.json"))
        for match in pattern.findall((ROOT / name.decode()).read_bytes())
        if match != KEY.encode()
    }
    assert found == set()


def test_storage_takes_no_keys_and_no_strangers(deployment: Deployment) -> None:
    """Both accounts: no shared keys, no anonymous access, no old TLS, no plain http, no local users."""
    accounts = deployment.of("Microsoft.Storage/storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        properties = account.body["properties"]
        assert properties["allowSharedKeyAccess"] is False
        assert properties["allowBlobPublicAccess"] is False
        assert properties["allowCrossTenantReplication"] is False
        assert properties["isLocalUserEnabled"] is False
        assert properties["minimumTlsVersion"] == "TLS1_2"
        assert properties["supportsHttpsTrafficOnly"] is True
    for container in deployment.of("Microsoft.Storage/storageAccounts/blobServices/containers"):
        assert container.body["properties"]["publicAccess"] == "None"
    for service in deployment.of("Microsoft.Storage/storageAccounts/blobServices"):
        assert service.body["properties"]["deleteRetentionPolicy"] == {"enabled": True, "days": 7}


def test_nothing_takes_local_credentials(deployment: Deployment) -> None:
    """Batch, logs, topics, registry and deployment endpoint: Entra ID is the only way in."""
    (batch,) = deployment.of("Microsoft.Batch/batchAccounts")
    assert batch.body["properties"]["allowedAuthenticationModes"] == ["AAD"]
    (insights,) = deployment.of("Microsoft.Insights/components")
    assert insights.body["properties"]["DisableLocalAuth"] is True
    (workspace,) = deployment.of("Microsoft.OperationalInsights/workspaces")
    assert workspace.body["properties"]["features"]["disableLocalAuth"] is True
    for topic in deployment.of("Microsoft.EventGrid/topics"):
        assert topic.body["properties"]["disableLocalAuth"] is True
    for registry in deployment.of("Microsoft.ContainerRegistry/registries"):
        assert registry.body["properties"]["adminUserEnabled"] is False
    policies = deployment.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {item.name.rsplit("/", 1)[1]: item.body["properties"]["allow"] for item in policies} == {
        "ftp": False,
        "scm": False,
    }


def test_only_event_grid_and_named_addresses_reach_the_app(deployment: Deployment, shape: str) -> None:
    """The app's front door is closed to everyone who is not named."""
    (app,) = deployment.of("Microsoft.Web/sites")
    site = app.body["properties"]["siteConfig"]
    assert app.body["properties"]["httpsOnly"] is True
    assert site["minTlsVersion"] == site["scmMinTlsVersion"] == "1.2"
    assert site["ftpsState"] == "Disabled"
    assert site["ipSecurityRestrictionsDefaultAction"] == "Deny"
    service, *addresses = site["ipSecurityRestrictions"]
    assert (service["tag"], service["ipAddress"]) == ("ServiceTag", "AzureEventGrid")
    expected = {
        "public-with-everything": ["203.0.113.7/32", "198.51.100.0/24"],
        "private-with-everything": ["203.0.113.7/32"],
    }
    assert [rule["ipAddress"] for rule in addresses] == expected.get(shape, [])


@pytest.mark.parametrize("shape", ["private", "private-with-everything"])
def test_a_private_deployment_has_no_public_data_path(deployment: Deployment) -> None:
    """Storage, Batch and registry refuse the internet, nodes have no public address, each service has its endpoint."""
    for account in deployment.of("Microsoft.Storage/storageAccounts"):
        assert account.body["properties"]["networkAcls"]["defaultAction"] == "Deny"
    (batch,) = deployment.of("Microsoft.Batch/batchAccounts")
    profile = batch.body["properties"]["networkProfile"]
    assert profile is None or profile["accountAccess"]["defaultAction"] == "Deny"
    assert profile is not None or batch.body["properties"]["publicNetworkAccess"] == "Disabled"
    for registry in deployment.of("Microsoft.ContainerRegistry/registries"):
        assert registry.body["properties"]["publicNetworkAccess"] == "Disabled"
    (pool,) = deployment.of("Microsoft.Batch/batchAccounts/pools")
    network = pool.body["properties"]["networkConfiguration"]
    assert network["publicIPAddressConfiguration"] == {"provision": "NoPublicIPAddresses"}
    groups = {
        item.body["properties"]["privateLinkServiceConnections"][0]["properties"]["groupIds"][0]
        for item in deployment.of("Microsoft.Network/privateEndpoints")
    }
    assert {"blob", "batchAccount", "nodeManagement"} <= groups


def test_wildcards_are_only_in_a_rule_that_denies(deployment: Deployment) -> None:
    """`*` appears nowhere but in the network rule that lets nothing in."""
    for item in deployment.resources:
        stars = {path for path, text in texts(item.body) if text == "*" or "/*" in text}
        if item.type == "Microsoft.Network/networkSecurityGroups":
            (rule,) = item.body["properties"]["securityRules"]
            assert (rule["properties"]["access"], rule["properties"]["direction"]) == ("Deny", "Inbound")
        elif "alert" not in item.type.lower() and "scheduledQuery" not in item.type:
            stars -= {path for path in stars if path.startswith(".properties.") and "SCHEDULE" in path}  # NCRONTAB
            stars -= {".properties.scaleSettings.autoScale.formula"}  # multiplication
            assert stars == set(), f"{item.where}: {item.type}"


def test_no_role_is_broad(deployment: Deployment) -> None:
    """No Owner, Contributor, Reader or their like is assigned to anyone."""
    assigned = [
        item.body["properties"]["roleDefinitionId"] for item in deployment.of("Microsoft.Authorization/roleAssignments")
    ]
    assert [name for role in assigned for known, name in BROAD_ROLES.items() if known in role] == []


def test_every_role_is_given_on_the_resource_itself(deployment: Deployment) -> None:
    """No role is assigned on a resource group or a subscription."""
    grants = deployment.of("Microsoft.Authorization/roleAssignments")
    assert [item.where for item in grants if not item.scope] == []


def test_blob_roles_are_given_on_containers(deployment: Deployment) -> None:
    """On the account of images and PNGs nobody holds a role for the whole account."""
    images = [item for item in deployment.of("Microsoft.Storage/storageAccounts") if item.name.startswith("darkroom")]
    whole = {item.id for item in images}
    grants = deployment.of("Microsoft.Authorization/roleAssignments")
    assert [item.where for item in grants if item.scope in whole] == []


def test_every_grant_has_a_reason(deployment: Deployment) -> None:
    """Each role assignment says, in Azure too, what it is for."""
    grants = deployment.of("Microsoft.Authorization/roleAssignments")
    assert [item.where for item in grants if len(item.body["properties"]["description"]) < 15] == []


def test_built_in_roles_are_those_of_the_table(deployment: Deployment, shape: str) -> None:
    """Every built-in role that a template assigns is in permissions.json, with its scope and its reason."""
    listed = {grant["id"] for grant in PERMISSIONS["builtInGrants"]}
    custom = {item.name for item in deployment.of("Microsoft.Authorization/roleDefinitions")}
    assigned = {
        item.body["properties"]["roleDefinitionId"].rsplit("/", 1)[1]
        for item in deployment.of("Microsoft.Authorization/roleAssignments")
    }
    assert assigned - custom <= listed
    if shape == "private-with-everything":
        assert assigned - custom == listed


def test_nothing_is_taken_at_its_latest_that_is_code(deployment: Deployment) -> None:
    """Images of ours are pinned by digest; `latest` is only the operating system's, for its security updates."""
    latest = {
        (item.type, path) for item in deployment.resources for path, text in texts(item.body) if text.endswith("latest")
    }
    allowed = {
        (
            "Microsoft.Batch/batchAccounts/pools",
            ".properties.deploymentConfiguration.virtualMachineConfiguration.imageReference.version",
        )
    }
    assert latest <= allowed
