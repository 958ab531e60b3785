"""What other people's tools say of the templates and of our code. Each finding is mended, or accepted with a reason.

The tools live in `.venv-scan`, which `make` makes from `tests/infra/requirements.txt`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep.evaluate import Deployed, Deployment, evaluate
from tests.infra.conftest import GIVEN, INFRA, ROOT, SHAPES

TOOLS = ROOT / ".venv-scan" / "bin"
ACCEPTED: dict[tuple[str, str], str] = {
    (
        "CKV_AZURE_76",
        "batch.bicep",
    ): "Batch holds no customer data at rest but task command lines; its own key suffices.",
    ("CKV_AZURE_35", "storage.bicep"): "Denied where privateNetwork is set; else identity, not address, is the guard.",
    ("CKV_AZURE_35", "host-storage.bicep"): "As for storage.bicep.",
    ("CKV_AZURE_206", "storage.bicep"): "The parameter storageSku, Standard_ZRS by default; the scanner sees a name.",
    ("CKV_AZURE_206", "host-storage.bicep"): "Holds only what a deployment puts there again.",
    ("CKV_AZURE_225", "function-app.bicep"): "Flex Consumption is zone redundant by region, not by this property.",
    (
        "CKV_AZURE_222",
        "function-app.bicep",
    ): "Event Grid calls from outside; access rules let only it and named addresses in.",
    ("CKV_AZURE_17", "function-app.bicep"): "Event Grid shows no client certificate; it comes with the function's key.",
    ("CKV_AZURE_212", "function-app.bicep"): "Flex Consumption has no fixed instances: it scales to zero and back.",
    ("CKV_AZURE_213", "function-app.bicep"): "Flex Consumption has no health check path; the alerts watch progress.",
    (
        "CKV_AZURE_193",
        "topics.bicep",
    ): "Subscribers are the customer's; Entra ID guards publishing. See docs/security.md.",
    (
        "CKV_AZURE_192",
        "topics.bicep",
    ): "disableLocalAuth is true; the scanner reads it only from a topic without condition.",
    ("CKV_AZURE_191", "topics.bicep"): "The custom topic delivers nothing by identity: its subscribers decide.",
    (
        "CKV_AZURE_166",
        "registry.bicep",
    ): "Quarantine is a preview that blocks pulls until a scanner of the customer's clears.",
    ("CKV_AZURE_139", "registry.bicep"): "Disabled where privateNetwork is set; else pulls are by identity.",
    (
        "CKV_AZURE_163",
        "registry.bicep",
    ): "Scanning is Defender for Containers, a plan of the subscription, not of a registry.",
    ("CKV_DOCKER_7", "Dockerfile"): "The base image has no default: whoever builds names it by digest.",
    ("CKV_DOCKER_2", "Dockerfile"): "A task's process ends; there is no service whose health could be asked.",
}
"""Findings of checkov that stay, by check and file, and why."""

BANDIT_ACCEPTED = {
    (
        "worker/storage.py",
        "B314",
    ): "The listing is the storage account's own answer, over TLS; names in it are escaped.",
}
"""Findings of bandit that stay, by file and test, and why."""


def ran(*command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """A tool of `.venv-scan`, run to its end."""
    tool = TOOLS / command[0]
    assert tool.exists(), "make .setup/scan installs the scanners"
    return subprocess.run(
        [str(tool), *command[1:]], cwd=ROOT, input=given, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    """Checkov on all templates and on the worker's image, by kind of file."""
    files = [str(path.relative_to(ROOT)) for path in (*sorted(INFRA.rglob("*.bicep")), ROOT / "worker" / "Dockerfile")]
    options = ("--framework", "bicep", "dockerfile", "--output", "json", "--skip-download")
    found = json.loads(ran("checkov", *options, "--file", *files).stdout)
    return {report["check_type"]: report for report in found}


@pytest.mark.timeout(300)
def test_checkov_finds_nothing_that_is_not_accepted(reports: dict[str, dict[str, Any]]) -> None:
    """Its failed checks are those in ACCEPTED, each with a reason, and no accepted one has gone away."""
    failed = {
        (item["check_id"], Path(item["file_path"]).name)
        for report in reports.values()
        for item in report["results"]["failed_checks"]
    }
    assert failed == ACCEPTED.keys()


def test_checkov_read_every_file(reports: dict[str, dict[str, Any]]) -> None:
    """Nothing is left out because the scanner could not parse it."""
    assert {kind: report["summary"]["parsing_errors"] for kind, report in reports.items()} == {
        "bicep": 0,
        "dockerfile": 0,
    }
    assert reports["bicep"]["summary"]["passed"] >= 30


def test_a_second_parser_reads_every_template() -> None:
    """pycep, which is not ours, accepts each file too."""
    script = (
        "import sys, pathlib, pycep\n"
        "for name in sys.argv[1:]: pycep.BicepParser().parse(text=pathlib.Path(name).read_text())\n"
    )
    done = ran("python", "-c", script, *map(str, sorted(INFRA.rglob("*.bicep"))))
    assert done.returncode == 0, done.stderr[-2000:]


def _documents(resources: list[Deployed]) -> Iterator[dict[str, Any]]:
    for item in resources:
        yield {"type": item.type, "body": item.body, "where": item.where}


def test_microsofts_models_know_every_property(subscription: Deployment) -> None:
    """In no shape: a property that Azure's management libraries do not know, a value outside of their enumerations."""
    shapes = [evaluate(INFRA / "main.bicep", {**GIVEN, **shape}) for shape in SHAPES.values()]
    documents = list(_documents([item for deployment in (*shapes, subscription) for item in deployment.resources]))
    done = ran("python", "tests/infra/microsoft_models.py", given=json.dumps(documents))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_misspelt_property_would_be_found() -> None:
    """The comparison is not blind."""
    body = {"properties": {"taskSlotPerNode": 1, "interNodeCommunication": "Off"}}
    documents = [{"type": "Microsoft.Batch/batchAccounts/pools", "body": body, "where": "here"}]
    found = ran("python", "tests/infra/microsoft_models.py", given=json.dumps(documents)).stdout.splitlines()
    assert len(found) == 2
    assert "taskSlotPerNode is not known" in found[0]
    assert "'Off' is not one of" in found[1]


def test_bandit_finds_nothing_serious() -> None:
    """No finding of medium or high severity in what is deployed; marks in the code are ruff's and bandit's alike."""
    rooms = [room for room in ("shared", "pipeline", "worker", "function_app.py") if (ROOT / room).exists()]
    done = ran("bandit", "--recursive", "--severity-level", "medium", "--format", "json", "--quiet", *rooms)
    results = json.loads(done.stdout)
    assert results["errors"] == []
    assert {(item["filename"], item["test_id"]) for item in results["results"]} == BANDIT_ACCEPTED.keys()
