"""The deployment's own steps, against command lines that record what they were asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from darkroom.deploy.check import (
    PROVIDERS,
    Verdict,
    Wanted,
    check,
    cores_of,
    judge_changes,
    judge_providers,
    judge_quota,
    judge_region,
    judge_rights,
    judge_vm_size,
)
from darkroom.deploy.cloud_tools import InstalledTools
from darkroom.deploy.destroy import doomed, remove
from darkroom.deploy.package import Package
from darkroom.deploy.render import parameters_of
from darkroom.deploy.steps import PACKAGE_KEY, Steps
from darkroom.failure import CommandError
from shared.errors import SettingsError
from tests.infra.conftest import ROOT

PROVISIONED = {
    "AZURE_ENV_NAME": "demo",
    "AZURE_RESOURCE_GROUP": "rg-demo",
    "AZURE_FUNCTION_APP": "app",
    "STORAGE_ACCOUNT": "account",
    "STORAGE_ACCOUNT_URL": "https://account.blob.core.windows.net/",
    "SCRIPTS_CONTAINER": "scripts",
    "IMAGES_CONTAINER": "images",
    "SYSTEM_TOPIC": "topic",
    "EVENTS_IDENTITY_ID": "identity",
}
BUILT = Package(path=Path("build/worker-abc.pyz"), digest="abc")
ACCOUNT = {"id": "sub", "name": "Subscription", "user": {"name": "someone@example.com"}}
WANTED = Wanted(location="West Europe", vm_size="standard_d2ads_v5", spot_nodes=10, dedicated_nodes=0)
SKUS = [{"name": "Standard_D2ads_v5", "capabilities": [{"name": "vCPUs", "value": "2"}]}]


class RecordingTools:
    """`az` and `azd` as a script: what they answer, and what they were asked."""

    def __init__(self, values: Mapping[str, str], answers: Mapping[str, Any] | None = None) -> None:
        self.values = dict(values)
        self.answers = answers or {}
        self.asked: list[tuple[str, ...]] = []

    def az(self, *arguments: str) -> Any:
        self.asked.append(arguments)
        for start, answer in self.answers.items():
            if " ".join(arguments).startswith(start):
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return None

    def environment(self) -> Mapping[str, str]:
        return self.values

    def remember(self, name: str, value: str) -> None:
        self.values[name] = value

    def azd(self, *arguments: str) -> None:
        self.asked.append(("azd", *arguments))


@pytest.fixture
def published() -> list[tuple[str, str, str]]:
    """What was published: blob, account, container."""
    return []


@pytest.fixture
def steps(tmp_path: Path, published: list[tuple[str, str, str]]) -> Callable[[RecordingTools], Steps]:
    """The steps on a checkout with empty choices."""
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "settings.json").write_text("{}", encoding="utf-8")

    def publish(package: Package, url: str, container: str) -> bool:
        published.append((package.blob, url, container))
        return True

    return lambda tools: Steps(root=tmp_path, tools=tools, build=lambda: BUILT, publish=publish, say=lambda line: None)


def test_the_first_preparation_names_the_package_and_publishes_nothing(
    steps: Callable[[RecordingTools], Steps], published: list[tuple[str, str, str]]
) -> None:
    """There is no storage yet: the templates only learn the package's name."""
    tools = RecordingTools({"AZURE_ENV_NAME": "demo"})
    steps(tools).prepare()
    assert tools.values[PACKAGE_KEY] == "worker-abc.pyz"
    assert published == []


def test_an_upgrade_publishes_before_anything_points_at_it(
    steps: Callable[[RecordingTools], Steps], published: list[tuple[str, str, str]]
) -> None:
    """Where storage exists, the new package is there before the function app and the pool name it."""
    steps(RecordingTools(PROVISIONED)).prepare()
    assert published == [("worker-abc.pyz", "https://account.blob.core.windows.net/", "scripts")]


def test_a_wrong_setting_stops_before_anything_is_built(
    steps: Callable[[RecordingTools], Steps], tmp_path: Path
) -> None:
    """The azd environment is not touched either."""
    (tmp_path / "infra" / "settings.json").write_text('{"POOL_MAX_NODES": "0"}', encoding="utf-8")
    tools = RecordingTools(PROVISIONED)
    with pytest.raises(SettingsError, match="POOL_MAX_NODES"):
        steps(tools).prepare()
    assert PACKAGE_KEY not in tools.values


def test_publishing_before_provisioning_says_what_is_missing(steps: Callable[[RecordingTools], Steps]) -> None:
    """The message names the next command."""
    with pytest.raises(CommandError, match="STORAGE_ACCOUNT_URL") as raised:
        steps(RecordingTools({})).publish_package()
    assert raised.value.hint == "azd provision"


def test_subscribing_gives_the_template_all_its_parameters(steps: Callable[[RecordingTools], Steps]) -> None:
    """The event subscription's template is deployed into the environment's group with what main.bicep gave."""
    tools = RecordingTools(PROVISIONED)
    steps(tools).subscribe()
    (asked,) = tools.asked
    given = dict(word.split("=", 1) for word in asked[asked.index("--parameters") + 1 :])
    assert given == {
        "systemTopicName": "topic",
        "functionAppName": "app",
        "storageAccountName": "account",
        "imagesContainer": "images",
        "identityId": "identity",
    }
    assert asked[asked.index("--resource-group") + 1] == "rg-demo"


def test_all_registered_providers_are_good() -> None:
    """And a missing one comes with the command that registers it."""
    registered = dict.fromkeys(PROVIDERS, "Registered")
    assert [item.verdict for item in judge_providers(registered)] == [Verdict.GOOD]
    (finding,) = judge_providers({**registered, "Microsoft.Batch": "NotRegistered"})
    assert finding.verdict is Verdict.BAD
    assert "az provider register --namespace Microsoft.Batch" in finding.detail


@pytest.mark.parametrize(
    ("roles", "verdict"),
    [
        (["Owner"], Verdict.GOOD),
        (["Contributor", "User Access Administrator"], Verdict.GOOD),
        (["Contributor"], Verdict.UNSURE),
        ([], Verdict.UNSURE),
    ],
)
def test_rights_are_judged_by_what_the_templates_do(roles: list[str], verdict: Verdict) -> None:
    """Making resources is not enough: roles are defined and assigned."""
    assert [item.verdict for item in judge_rights(roles)] == [verdict]


def test_a_region_without_flex_consumption_is_bad() -> None:
    """Names are compared as people and as Azure write them."""
    offered = [{"name": "westeurope"}]
    assert judge_region("West Europe", offered)[0].verdict is Verdict.GOOD
    assert judge_region("nowhere", offered)[0].verdict is Verdict.BAD


def test_a_vm_size_that_the_region_lacks_is_bad() -> None:
    """Names are compared without case; the cores of the size are what the quota is counted in."""
    assert judge_vm_size(WANTED, SKUS)[0].verdict is Verdict.GOOD
    assert judge_vm_size(WANTED, [])[0].verdict is Verdict.BAD
    assert cores_of("STANDARD_D2ads_v5", SKUS) == 2


def test_the_plan_is_asked_for_with_the_environments_own_parameters() -> None:
    """What azd would hand to the templates: values of the environment, else the defaults of the parameters file."""
    parameters = dict(text.split("=", 1) for text in parameters_of(ROOT / "infra", {"AZURE_ENV_NAME": "demo"}))
    assert parameters["environmentName"] == "demo"
    assert parameters["privateNetwork"] == "false"
    assert parameters["alertEmail"] == ""
    chosen = parameters_of(ROOT / "infra", {"DARKROOM_PRIVATE_NETWORK": "true"})
    assert "privateNetwork=true" in chosen


def test_quota_is_compared_with_the_pools_cap() -> None:
    """Too few Spot cores is bad and says by how much; an account that does not exist yet is not known."""
    account = {"name": "a", "lowPriorityCoreQuota": 10, "dedicatedCoreQuota": 0}
    verdicts = {item.detail.split(": ")[1][:12]: item.verdict for item in judge_quota(WANTED, 2, [account])}
    assert verdicts == {"10 Spot core": Verdict.BAD, "0 dedicated ": Verdict.GOOD}
    assert judge_quota(WANTED, 2, [])[0].verdict is Verdict.UNSURE


def test_a_deletion_in_the_plan_is_bad() -> None:
    """`azd up` only ever adds and changes."""
    changes = [{"changeType": "Create", "resourceId": "a"}, {"changeType": "Delete", "resourceId": "b"}]
    assert [item.verdict for item in judge_changes(changes)] == [Verdict.GOOD, Verdict.BAD]


def test_a_check_that_cannot_be_made_is_a_finding() -> None:
    """One question that Azure refuses does not hide the answers to the others."""
    answers: dict[str, Any] = {
        "account show": ACCOUNT,
        "provider list": [{"namespace": name, "registrationState": "Registered"} for name in PROVIDERS],
        "role assignment list": CommandError("not allowed to read roles"),
        "functionapp list-flexconsumption-locations": [{"name": "westeurope"}],
        "batch location list-skus": SKUS,
        "batch account list": [{"name": "a", "location": "westeurope", "lowPriorityCoreQuota": 100}],
        "deployment sub what-if": {"changes": []},
    }
    found = check(RecordingTools({}, answers), WANTED, parameters=["environmentName=demo"])
    verdicts = [(item.what, item.verdict) for item in found]
    assert ("rights", Verdict.UNSURE) in verdicts
    assert ("region", Verdict.GOOD) in verdicts
    assert ("changes", Verdict.GOOD) in verdicts


def test_destroying_needs_the_environments_name() -> None:
    """A slip of the fingers deletes nothing."""
    assert doomed(PROVISIONED, "demo") == "rg-demo"
    with pytest.raises(CommandError, match="nothing was deleted"):
        doomed(PROVISIONED, "dem")
    with pytest.raises(CommandError, match="nothing is deployed"):
        doomed({}, "demo")


def test_destroying_takes_our_role_definitions_along() -> None:
    """Those that can be assigned in this group alone, which the group's deletion would leave behind; no others."""
    answers = {
        "group show": {"id": "/groups/rg-demo"},
        "role definition list": [
            {"name": "ours", "assignableScopes": ["/groups/rg-demo"]},
            {"name": "shared", "assignableScopes": ["/groups/rg-demo", "/groups/other"]},
        ],
    }
    tools = RecordingTools(PROVISIONED, answers)
    remove(tools, "rg-demo")
    assert ("azd", "down", "--force", "--purge") in tools.asked
    assert [asked[4] for asked in tools.asked if asked[:3] == ("role", "definition", "delete")] == ["ours"]


def _fake_tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_what_azure_says_reaches_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that fails is told with its own words, and a sign-in that ran out with the way to mend it."""
    _fake_tool(tmp_path, "az", "echo 'AADSTS70043: the token has expired' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CommandError, match="token has expired") as raised:
        InstalledTools().az("account", "show")
    assert raised.value.hint == "az login"


def test_answers_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`az` is asked for JSON; a command that prints nothing answers None."""
    _fake_tool(tmp_path, "az", 'case "$1" in show) echo \'{"asked": "\'"$*"\'"}\';; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert InstalledTools().az("show", "it") == {"asked": "show it --output json"}
    assert InstalledTools().az("delete") is None


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `azd` the message says so, instead of a traceback."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandError, match="azd is not installed"):
        InstalledTools().azd("up")


def test_hooks_end_with_a_sentence(tmp_path: Path) -> None:
    """A step that fails as azd's hook ends with one line and an exit code, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.deploy", "subscribe"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("darkroom: azd is not installed.")
    assert "Traceback" not in done.stderr


def test_the_permissions_of_the_deployer_suffice_for_its_steps() -> None:
    """What the steps write to storage is what the deployer's grant allows: new blobs in the scripts container."""
    table = json.loads((ROOT / "infra" / "permissions.json").read_text(encoding="utf-8"))
    grants = [grant for grant in table["containerGrants"] if grant["identity"] == "deployer"]
    assert [(grant["container"], grant["role"]) for grant in grants] == [("SCRIPTS_CONTAINER", "blob-writer")]
