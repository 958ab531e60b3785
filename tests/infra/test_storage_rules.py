"""The containers are those that the application names, and no lifecycle rule can touch work that is under way."""

from __future__ import annotations

from tests.infra.bicep.evaluate import Deployment
from tests.infra.test_settings import app_settings


def test_every_container_that_the_application_names_is_made(deployment: Deployment) -> None:
    """And beside them one for dead-lettered events; nothing else on the account of images."""
    made = {
        item.name.rsplit("/", 1)[1]
        for item in deployment.of("Microsoft.Storage/storageAccounts/blobServices/containers")
        if item.name.startswith("darkroom")
    }
    named = {value for name, value in app_settings(deployment).items() if name.endswith("_CONTAINER")}
    assert made == named | {"deadletters"}


def test_lifecycle_rules_prune_only_what_is_over(plain: Deployment) -> None:
    """Archive, journal, outcomes and dead letters, after the application had a week to prune them itself."""
    (policy,) = plain.of("Microsoft.Storage/storageAccounts/managementPolicies")
    retention = int(app_settings(plain)["RETENTION_DAYS"])
    prefixes = set()
    for rule in policy.body["properties"]["policy"]["rules"]:
        prefixes |= set(rule["definition"]["filters"]["prefixMatch"])
        actions = rule["definition"]["actions"]
        assert actions == {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": retention + 7}}}
    assert prefixes == {"manifests/archive/", "manifests/journal/", "outcomes/", "deadletters/"}
