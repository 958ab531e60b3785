"""The form that every task is made from: command line, environment, package or container, constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from azure.batch import models as m

from pipeline.batch import TaskSpec
from shared.app_settings import AppSettings, StorageSettings, blob_endpoint
from shared.settings import names
from shared.worker_settings import MANIFEST, passed_on


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskForm:
    """What all tasks have in common. Made once from the settings."""

    settings: AppSettings
    environ: Mapping[str, str]
    """The function app's environment: the worker's settings in it are passed on."""

    def task(self, spec: TaskSpec) -> m.BatchTaskCreateOptions:
        """The task as Batch wants it."""
        batch, pipeline = self.settings.batch, self.settings.pipeline
        environment = {**self.common_environment(), **spec.environment}
        return m.BatchTaskCreateOptions(
            id=spec.id,
            command_line=batch.worker_command,
            environment_settings=[
                m.EnvironmentSetting(name=name, value=value) for name, value in sorted(environment.items())
            ],
            resource_files=self._package(),
            container_settings=self._container(),
            constraints=m.BatchTaskConstraints(
                max_task_retry_count=pipeline.task_retries,
                max_wall_clock_time=timedelta(minutes=pipeline.task_max_minutes),
                retention_time=timedelta(days=7),
            ),
        )

    def common_environment(self) -> dict[str, str]:
        """Where storage is and what the worker is told about its work; no secret but Azurite's key on loopback."""
        storage = self.settings.storage
        environment = passed_on(self.environ)
        if storage.connection_string:
            environment["STORAGE_CONNECTION_STRING"] = storage.connection_string
        else:
            environment["STORAGE_ACCOUNT_URL"] = storage.account_url
        if self.settings.batch.worker_identity_client_id:
            environment["WORKER_IDENTITY_CLIENT_ID"] = self.settings.batch.worker_identity_client_id
        for name in names(StorageSettings):
            if name.endswith("_CONTAINER") and self.environ.get(name, "").strip():
                environment[name] = self.environ[name].strip()
        return environment

    def _package(self) -> list[m.ResourceFile] | None:
        batch = self.settings.batch
        if not batch.worker_package or batch.worker_image:
            return None
        resource_id = batch.worker_identity_resource_id
        return [
            m.ResourceFile(
                http_url=f"{blob_endpoint(self.settings.storage)}/{self.settings.storage.scripts}/{batch.worker_package}",
                file_path=batch.worker_package.rsplit("/", maxsplit=1)[-1],
                identity_reference=m.BatchNodeIdentityReference(resource_id=resource_id) if resource_id else None,
            )
        ]

    def _container(self) -> m.BatchTaskContainerSettings | None:
        image = self.settings.batch.worker_image
        if not image:
            return None
        return m.BatchTaskContainerSettings(
            image_name=image,
            container_run_options="--rm",
            # The image's user is nobody, who may not enter the task's own folder.
            working_directory=m.ContainerWorkingDirectory.CONTAINER_IMAGE_DEFAULT,
        )


def manifest_task(manifest_id: str, blob: str) -> TaskSpec:
    """The task of one sealed manifest."""
    return TaskSpec(id=manifest_id, environment={MANIFEST: blob})
