"""The container way: what goes into the image, and how a task is told to run in it. No image is built here."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.batch import TaskSpec
from pipeline.task_form import TaskForm
from shared.app_settings import read_app_settings
from tests.infra.bicep.evaluate import evaluate
from tests.infra.conftest import GIVEN, INFRA, ROOT, SHAPES
from tests.infra.test_settings import app_settings

DOCKERFILE = (ROOT / "worker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_base_image_has_no_default() -> None:
    """Whoever builds names it by digest; nothing is taken at whatever a tag means today."""
    assert re.findall(r"^ARG (\S+)", DOCKERFILE, re.MULTILINE) == ["BASE"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


def test_libraries_are_the_pinned_ones() -> None:
    """Installed with their hashes, as wheels, and from nowhere else."""
    installs = re.findall(r"pip install (.*?) -r (\S+)", DOCKERFILE)
    assert [Path(file).name for _, file in installs] == ["requirements.txt"] * 2
    assert all("--require-hashes --only-binary=:all:" in options for options, _ in installs)
    assert DOCKERFILE.count("pip install") == len(installs)


def test_the_compiler_stays_out_of_the_image() -> None:
    """It is installed in a stage of its own, of which only the library goes on."""
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert "native/requirements" not in last
    assert "COPY --from=compiled /native/*.so /app/worker/native/" in last


def test_only_the_workers_rooms_are_in_the_image() -> None:
    """The two folders that a node needs, run by a user of their own who is not root."""
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert set(re.findall(r"^COPY (\w+) ", last, re.MULTILINE)) == {"shared", "worker"}
    (user,) = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert user not in ("root", "0")


def test_the_image_has_no_entry_point() -> None:
    """Batch appends a task's command to an image's entry point: with one, the worker would get itself as arguments."""
    assert "ENTRYPOINT" not in [line.split(" ")[0] for line in DOCKERFILE.splitlines()]


def test_a_task_runs_in_the_pools_image() -> None:
    """What the templates set makes tasks with the container, without the package, in a folder that nobody may enter."""
    deployment = evaluate(INFRA / "main.bicep", {**GIVEN, **SHAPES["containers"]})
    environ = app_settings(deployment)
    task = TaskForm(settings=read_app_settings(environ), environ=environ).task(TaskSpec(id="m", environment={}))
    (pool,) = deployment.of("Microsoft.Batch/batchAccounts/pools")
    container = pool.body["properties"]["deploymentConfiguration"]["virtualMachineConfiguration"][
        "containerConfiguration"
    ]
    assert task.container_settings is not None
    assert [task.container_settings.image_name] == container["containerImageNames"]
    assert task.resource_files is None
    assert task.command_line == "python3 -m worker"
    # The image's user may not enter the task's working directory on the node.
    assert task.container_settings.working_directory == "containerImageDefault"
    assert pool.body["properties"]["startTask"] is None


def test_without_an_image_a_task_brings_the_package() -> None:
    """What the templates set otherwise: the pool's start task and each task get the same file by the same identity."""
    deployment = evaluate(INFRA / "main.bicep", GIVEN)
    environ = app_settings(deployment)
    task = TaskForm(settings=read_app_settings(environ), environ=environ).task(TaskSpec(id="m", environment={}))
    (pool,) = deployment.of("Microsoft.Batch/batchAccounts/pools")
    start = pool.body["properties"]["startTask"]
    assert task.container_settings is None
    assert task.resource_files is not None
    (file,), (start_file,) = task.resource_files, start["resourceFiles"]
    assert file.identity_reference is not None
    assert file.identity_reference.resource_id == start_file["identityReference"]["resourceId"]
    assert file.file_path == start_file["filePath"] == "worker-0123.pyz"
    assert str(file.http_url).replace("//scripts", "/scripts").endswith("scripts/worker-0123.pyz")
    assert start_file["httpUrl"].endswith("scripts/worker-0123.pyz")
    assert (task.command_line, start["commandLine"]) == (
        "python3 worker-0123.pyz",
        "python3 worker-0123.pyz --prepare",
    )
