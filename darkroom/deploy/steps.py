"""The steps of a deployment that only Darkroom knows. `azure.yaml` calls them between azd's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from darkroom.deploy.cloud_tools import CloudTools
from darkroom.deploy.package import Package
from darkroom.deploy.render import choices_of, render, write
from darkroom.failure import CommandError, ExitCode

PACKAGE_KEY = "DARKROOM_WORKER_PACKAGE"
"""The azd environment's value that names the worker's package; `main.parameters.json` hands it to the templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps, with the doors that they use: the command lines, the builder and the uploader."""

    root: Path
    tools: CloudTools
    build: Callable[[], Package]
    publish: Callable[[Package, str, str], bool]
    """(package, account's blob URL, container) -> whether it was uploaded."""
    say: Callable[[str], None]

    def prepare(self) -> None:
        """Before provisioning: render and check settings, build the package, and publish it where storage exists.

        On an upgrade the new package so is there before the function app and the pool are pointed at it.
        """
        changed = write(render(choices_of(self.root / "infra")), self.root / "infra")
        for path in changed:
            self.say(f"{path.relative_to(self.root)} was out of step with the settings and is written again: commit it")
        package = self.build()
        self.tools.remember(PACKAGE_KEY, package.blob)
        self.say(f"worker package {package.blob}")
        values = self.tools.environment()
        if values.get("STORAGE_ACCOUNT_URL"):
            self._publish(package, values)

    def publish_package(self) -> None:
        """After provisioning: the package is in storage, whether this run made the storage or an earlier one."""
        self._publish(self.build(), self.tools.environment())

    def subscribe(self) -> None:
        """After the code is deployed: events go to the function, which exists now."""
        values = self.tools.environment()
        group = _value(values, "AZURE_RESOURCE_GROUP")
        parameters = {
            "systemTopicName": _value(values, "SYSTEM_TOPIC"),
            "functionAppName": _value(values, "AZURE_FUNCTION_APP"),
            "storageAccountName": _value(values, "STORAGE_ACCOUNT"),
            "imagesContainer": _value(values, "IMAGES_CONTAINER"),
            "identityId": _value(values, "EVENTS_IDENTITY_ID"),
        }
        self.tools.az(
            *("deployment", "group", "create", "--resource-group", group, "--name", "event-subscription"),
            *("--template-file", str(self.root / "infra" / "event-subscription.bicep"), "--parameters"),
            *(f"{name}={value}" for name, value in parameters.items()),
        )
        self.say("events flow from the images container to the function app")

    def _publish(self, package: Package, values: Mapping[str, str]) -> None:
        url, container = _value(values, "STORAGE_ACCOUNT_URL"), _value(values, "SCRIPTS_CONTAINER")
        fresh = self.publish(package, url, container)
        self.say(f"{package.blob}: {'published' if fresh else 'is there already'}")


def _value(values: Mapping[str, str], name: str) -> str:
    value = values.get(name, "")
    if not value:
        raise CommandError(
            f"the azd environment has no {name}: nothing is provisioned yet",
            code=ExitCode.SETTINGS,
            hint="azd provision",
        )
    return value
