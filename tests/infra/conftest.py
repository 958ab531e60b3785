"""The templates, worked out for every shape of deployment that they offer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from tests.darkroom.conftest import azurite_url
from tests.darkroom.places import KEY
from tests.infra.bicep.evaluate import Deployment, evaluate

__all__ = ["azurite_url"]  # a fixture, used by name

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"

GIVEN: dict[str, Any] = {
    "environmentName": "demo",
    "location": "westeurope",
    "principalId": "00000000-0000-0000-0000-000000000001",
    "workerPackage": "worker-0123.pyz",
}
SHAPES: dict[str, dict[str, Any]] = {
    "public": {},
    "public-with-everything": {
        "allowedIpAddresses": "203.0.113.7,198.51.100.0/24",
        "completionTopic": True,
        "hierarchicalNamespace": True,
        "alertEmail": "operators@example.com",
    },
    "containers": {"workerImage": "registry.example/worker@sha256:0123", "containerRegistry": True},
    "private": {"privateNetwork": True},
    "private-with-everything": {
        "privateNetwork": True,
        "allowedIpAddresses": "203.0.113.7",
        "workerImage": "registry.example/worker@sha256:0123",
        "containerRegistry": True,
        "completionTopic": True,
    },
}


@pytest.fixture(params=sorted(SHAPES))
def shape(request: pytest.FixtureRequest) -> str:
    """The name of one shape of deployment."""
    return str(request.param)


@pytest.fixture
def deployment(shape: str) -> Deployment:
    """What main.bicep deploys in that shape."""
    return evaluate(INFRA / "main.bicep", {**GIVEN, **SHAPES[shape]})


@pytest.fixture
def plain() -> Deployment:
    """What main.bicep deploys with nothing but the parameters that it asks for."""
    return evaluate(INFRA / "main.bicep", GIVEN)


@pytest.fixture
def subscription() -> Deployment:
    """What event-subscription.bicep deploys."""
    parameters = {
        "systemTopicName": "topic",
        "functionAppName": "app",
        "storageAccountName": "account",
        "imagesContainer": "images",
        "identityId": "identity",
    }
    return evaluate(INFRA / "event-subscription.bicep", parameters)


@pytest.fixture
def scripts(azurite_url: str) -> Iterator[ContainerClient]:
    """An empty container on the real Azurite."""
    with ContainerClient(azurite_url, f"scripts-{uuid.uuid4().hex[:8]}", credential=KEY) as container:
        container.create_container()
        yield container
