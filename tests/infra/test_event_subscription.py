"""Which events reach the function, and what happens to those that cannot."""

from __future__ import annotations

import ast

from shared.naming import JPEG_SUFFIXES
from tests.infra.bicep.evaluate import Deployment
from tests.infra.conftest import ROOT


def properties(subscription: Deployment) -> dict[str, object]:
    """The event subscription's properties."""
    (item,) = subscription.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    return dict(item.body["properties"])


def test_only_new_jpgs_in_the_images_container_are_delivered(subscription: Deployment) -> None:
    """The filter names the event, the container, and the suffixes that the code takes for JPGs."""
    assert properties(subscription)["filter"] == {
        "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
        "subjectBeginsWith": "/blobServices/default/containers/images/blobs/",
        "isSubjectCaseSensitive": False,
        "advancedFilters": [{"operatorType": "StringEndsWith", "key": "subject", "values": list(JPEG_SUFFIXES)}],
    }


def test_undeliverable_events_are_kept(subscription: Deployment, plain: Deployment) -> None:
    """They go, by the topic's identity, to a container that the templates make and whose lifecycle they rule."""
    letters = properties(subscription)["deadLetterWithResourceIdentity"]
    assert isinstance(letters, dict)
    container = letters["deadLetterDestination"]["properties"]["blobContainerName"]
    made = {
        item.name.rsplit("/", 1)[1] for item in plain.of("Microsoft.Storage/storageAccounts/blobServices/containers")
    }
    assert container in made
    (topic,) = plain.of("Microsoft.EventGrid/systemTopics")
    assert letters["identity"]["type"] == topic.body["identity"]["type"] == "UserAssigned"


def test_delivery_is_retried_for_a_day(subscription: Deployment) -> None:
    """As long and as often as Event Grid offers."""
    assert properties(subscription)["retryPolicy"] == {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}


def test_events_go_to_a_function_of_the_app(subscription: Deployment) -> None:
    """The destination is a function that function_app.py defines with an Event Grid trigger."""
    destination = properties(subscription)["destination"]
    assert isinstance(destination, dict)
    assert destination["endpointType"] == "AzureFunction"
    name = destination["properties"]["resourceId"].rsplit("/", 1)[1]
    tree = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    triggered = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr == "event_grid_trigger"
    }
    assert name in triggered
