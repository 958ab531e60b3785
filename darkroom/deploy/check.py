"""What can be known before a deployment: sign-in, rights, region, quotas, and what the templates would change.

Each check is a question to Azure and a verdict on the answer, apart, so that the verdicts are tested without Azure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from darkroom.deploy.cloud_tools import CloudTools
from darkroom.failure import CommandError

PROVIDERS = (
    "Microsoft.Batch",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
)
"""Resource providers that the subscription must have registered."""

ROLE_WRITERS = frozenset({"Owner", "User Access Administrator"})
"""Built-in roles that may define roles and assign them, which the templates do."""

WRITERS = frozenset({"Owner", "Contributor"})
"""Built-in roles that may make everything else."""


class Verdict(StrEnum):
    """How a check went."""

    GOOD = "ok"
    BAD = "FAIL"
    UNSURE = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `darkroom deploy --check`."""

    verdict: Verdict
    what: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the deployment needs of the subscription."""

    location: str
    vm_size: str
    spot_nodes: int
    dedicated_nodes: int


def check(tools: CloudTools, wanted: Wanted, *, parameters: Iterable[str]) -> list[Finding]:
    """Every check; one that cannot be made is a finding, not the end. Raises CommandError when `az` is missing."""
    account = tools.az("account", "show")
    subscription = str(account["id"])
    scope = f"/subscriptions/{subscription}"
    place = ("--location", wanted.location)
    findings = [
        Finding(verdict=Verdict.GOOD, what="signed in", detail=f"{account['user']['name']} on {account['name']}")
    ]
    questions: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("providers", lambda: judge_providers(_providers(tools))),
        ("rights", lambda: judge_rights(_roles(tools, account, scope))),
        ("region", lambda: judge_region(wanted.location, tools.az("functionapp", "list-flexconsumption-locations"))),
        ("VM size", lambda: judge_vm_size(wanted, tools.az("batch", "location", "list-skus", *place))),
        ("quota", lambda: judge_quota(wanted, _cores(tools, wanted, place), _accounts(tools, wanted.location))),
        ("changes", lambda: judge_changes(_what_if(tools, wanted.location, parameters))),
    ]
    for name, question in questions:
        try:
            findings += question()
        except CommandError as error:
            findings.append(Finding(verdict=Verdict.UNSURE, what=name, detail=f"could not be asked: {error}"))
    return findings


def judge_providers(registered: Mapping[str, str]) -> list[Finding]:
    """Are all resource providers registered? `registered`: namespace to state."""
    missing = [name for name in PROVIDERS if registered.get(name) != "Registered"]
    if not missing:
        return [Finding(verdict=Verdict.GOOD, what="providers", detail="all registered")]
    how = "; ".join(f"az provider register --namespace {name}" for name in missing)
    return [Finding(verdict=Verdict.BAD, what="providers", detail=f"not registered: {', '.join(missing)}; run: {how}")]


def judge_rights(roles: Iterable[str]) -> list[Finding]:
    """May the deployer make resources, and define and assign roles? Custom roles cannot be judged by name."""
    held = set(roles)
    can_write, can_grant = bool(held & WRITERS), bool(held & ROLE_WRITERS)
    if can_write and can_grant:
        return [Finding(verdict=Verdict.GOOD, what="rights", detail=", ".join(sorted(held)))]
    lacking = "to make resources" if not can_write else "to define and assign roles"
    return [
        Finding(
            verdict=Verdict.UNSURE,
            what="rights",
            detail=f"nothing that surely allows {lacking} in: {', '.join(sorted(held)) or 'no role'}. "
            "Owner does, and so do Contributor with User Access Administrator.",
        )
    ]


def judge_region(location: str, offered: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Is there Flex Consumption in the region?"""
    names = {str(item["name"]).replace(" ", "").lower() for item in offered}
    if location.replace(" ", "").lower() in names:
        return [Finding(verdict=Verdict.GOOD, what="region", detail=f"{location} has Flex Consumption")]
    return [Finding(verdict=Verdict.BAD, what="region", detail=f"no Flex Consumption in {location}; choose another")]


def judge_vm_size(wanted: Wanted, skus: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Does Batch have the nodes' VM size in the region?"""
    if cores_of(wanted.vm_size, skus) is not None:
        return [Finding(verdict=Verdict.GOOD, what="VM size", detail=f"{wanted.vm_size} in {wanted.location}")]
    detail = f"no {wanted.vm_size} in {wanted.location}: set another POOL_VM_SIZE in infra/settings.json"
    return [Finding(verdict=Verdict.BAD, what="VM size", detail=detail)]


def cores_of(vm_size: str, skus: Iterable[Mapping[str, Any]]) -> int | None:
    """The cores of a VM size, as Batch lists it; None when it does not."""
    for sku in skus:
        if str(sku["name"]).lower() == vm_size.lower():
            for capability in sku.get("capabilities") or ():
                if str(capability["name"]).lower() == "vcpus":
                    return int(capability["value"])
    return None


def judge_quota(wanted: Wanted, cores: int, accounts: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Do the Batch accounts of the region have the cores? A new account has its own quota, known once it is there."""
    ours = list(accounts)
    if not ours:
        detail = "known after the first deployment: new accounts may start with no cores, see 'Quotas' in docs/azure.md"
        return [Finding(verdict=Verdict.UNSURE, what="quota", detail=detail)]
    findings = []
    for account in ours:
        for kind, need, key in (
            ("Spot", wanted.spot_nodes * cores, "lowPriorityCoreQuota"),
            ("dedicated", wanted.dedicated_nodes * cores, "dedicatedCoreQuota"),
        ):
            have = int(account.get(key) or 0)
            enough = have >= need
            findings.append(
                Finding(
                    verdict=Verdict.GOOD if enough else Verdict.BAD,
                    what="quota",
                    detail=f"{account['name']}: {have} {kind} cores for {need}"
                    + ("" if enough else "; ask for more in the portal (Quotas), or lower POOL_MAX_NODES"),
                )
            )
    return findings


def judge_changes(changes: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """What the templates would change. A deletion is never what `azd up` is for."""
    counted: dict[str, list[str]] = {}
    for change in changes:
        counted.setdefault(str(change["changeType"]), []).append(str(change["resourceId"]))
    deleted = counted.get("Delete", [])
    summary = ", ".join(f"{len(ids)} {kind}" for kind, ids in sorted(counted.items())) or "nothing"
    findings = [Finding(verdict=Verdict.GOOD, what="changes", detail=summary)]
    if deleted:
        findings.append(Finding(verdict=Verdict.BAD, what="changes", detail=f"would delete {', '.join(deleted)}"))
    return findings


def _providers(tools: CloudTools) -> dict[str, str]:
    return {str(row["namespace"]): str(row["registrationState"]) for row in tools.az("provider", "list")}


def _roles(tools: CloudTools, account: Mapping[str, Any], scope: str) -> list[str]:
    assignee = str(account["user"]["name"])
    rows = tools.az("role", "assignment", "list", "--assignee", assignee, "--scope", scope, "--include-inherited")
    return [str(row["roleDefinitionName"]) for row in rows]


def _cores(tools: CloudTools, wanted: Wanted, place: tuple[str, str]) -> int:
    cores = cores_of(wanted.vm_size, tools.az("batch", "location", "list-skus", *place))
    if cores is None:
        raise CommandError(f"the cores of {wanted.vm_size} are not known")
    return cores


def _accounts(tools: CloudTools, location: str) -> list[Mapping[str, Any]]:
    wanted = location.replace(" ", "").lower()
    rows: list[Mapping[str, Any]] = tools.az("batch", "account", "list")
    return [row for row in rows if str(row["location"]).replace(" ", "").lower() == wanted]


def _what_if(tools: CloudTools, location: str, parameters: Iterable[str]) -> list[Mapping[str, Any]]:
    arguments = [word for each in parameters for word in ("--parameters", each)]
    answer = tools.az(
        *("deployment", "sub", "what-if", "--location", location, "--template-file", "infra/main.bicep"),
        *(*arguments, "--no-pretty-print"),
    )
    changes: list[Mapping[str, Any]] = answer["changes"]
    return changes
