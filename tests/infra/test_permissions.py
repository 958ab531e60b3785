"""Each identity may do what its code does, and nothing else: the table against the calls in the code, both ways.

Actions: https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory (each operation's
page names its action) and https://learn.microsoft.com/azure/batch/batch-role-based-access-control.
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.app_settings import StorageSettings
from shared.settings import names
from tests.infra.bicep.evaluate import Deployment
from tests.infra.conftest import INFRA, ROOT

PERMISSIONS = json.loads((INFRA / "permissions.json").read_text(encoding="utf-8"))
ROLES = {role["key"]: role for role in PERMISSIONS["roles"]}
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
BATCH = "Microsoft.Batch/batchAccounts"

STORAGE_CALLS = {
    "append_block": f"{BLOBS}/write",
    "create_append_blob": f"{BLOBS}/write",
    "delete_blob": f"{BLOBS}/delete",
    "download_blob": f"{BLOBS}/read",
    "get_blob_properties": f"{BLOBS}/read",
    "list_blobs": f"{BLOBS}/read",
    "seal_append_blob": f"{BLOBS}/write",
    "set_blob_metadata": f"{BLOBS}/write",
    "upload_blob": f"{BLOBS}/write",
}
"""Calls of azure-storage-blob that touch storage, and the action that each needs."""
NO_REQUEST = {"get_blob_client"}

WORKER_CALLS = {"get": "read", "head": "read", "list": "read", "put": "write", "create_log": "write", "append": "write"}
"""Methods of the worker's own storage port."""

BATCH_CALLS = {
    "begin_delete_job": f"{BATCH}/jobs/delete",
    "begin_remove_nodes": f"{BATCH}/pools/write",
    "begin_stop_pool_resize": f"{BATCH}/pools/write",
    "begin_terminate_job": f"{BATCH}/jobs/write",
    "create_job": f"{BATCH}/jobs/write",
    "create_pool": f"{BATCH}/pools/write",
    "create_task_collection": f"{BATCH}/jobs/write",
    "disable_pool_auto_scale": f"{BATCH}/pools/write",
    "enable_pool_auto_scale": f"{BATCH}/pools/write",
    "get_job": f"{BATCH}/jobs/read",
    "get_job_task_counts": f"{BATCH}/jobs/read",
    "get_pool": f"{BATCH}/pools/read",
    "get_task": f"{BATCH}/jobs/read",
    "download_task_file": f"{BATCH}/jobs/read",
    "get_task_file_properties": f"{BATCH}/jobs/read",
    "list_jobs": f"{BATCH}/jobs/read",
    "list_nodes": f"{BATCH}/pools/read",
    "list_pool_node_counts": f"{BATCH}/pools/read",
    "list_tasks": f"{BATCH}/jobs/read",
}
"""Requests of azure-batch, and the action that each needs. Tasks and files are parts of jobs, nodes of pools."""
ACCOUNT_READ = f"{BATCH}/read"
"""Batch asks for it with any read operation."""

CONTAINERS = ("images", "converted", "manifests", "outcomes", "quarantine", "scripts")
NAMED_ELSE = {
    ("pipeline/dashboard/dashboard.py", "container"): ("quarantine",),
    ("pipeline/inbox.py", "container"): ("manifests",),
    ("pipeline/journal.py", "container"): ("manifests",),
    ("pipeline/quarantine.py", "container"): ("quarantine",),
    ("pipeline/retention.py", "container"): ("manifests", "outcomes"),
    ("pipeline/status.py", "container"): ("manifests",),
    ("pipeline/storage.py", "container"): (),  # `listed`, whose callers are looked at instead
    ("pipeline/sweep.py", "container"): ("images", "converted", "quarantine"),
    ("worker/ledger.py", "_container"): ("outcomes",),
    ("worker/listing.py", "container"): ("images",),
}
"""Where code speaks of a container by another name: which ones it can be. A new such place is an error here first."""


def trees(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """The modules of the rooms, by path."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def last_name(node: ast.expr) -> str:
    """`self.app.images` -> `images`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def waited_for(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls whose answer is awaited or iterated asynchronously, directly or after another name was given to it."""
    for node in ast.walk(tree):
        inner = None
        if isinstance(node, ast.Await):
            inner = node.value
        elif isinstance(node, ast.AsyncFor | ast.comprehension):
            inner = node.iter
        if isinstance(inner, ast.Call):
            yield inner


def containers_of(path: str, node: ast.expr) -> tuple[str, ...]:
    """Which containers an expression can stand for; none when it is no container at all."""
    name = last_name(node)
    plain = name.strip("_").removesuffix("_container")
    if plain in CONTAINERS:
        return (plain,)
    if name == "container" and isinstance(node, ast.Attribute) and last_name(node.value) in CONTAINERS:
        return (last_name(node.value),)
    return NAMED_ELSE.get((path, name), ())


def port_methods() -> dict[str, set[str]]:
    """Methods of the function app's storage port, and the actions that the calls in them need."""
    (tree,) = [tree for path, tree in trees("pipeline") if path == "pipeline/azure_storage.py"]
    (adapter,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "AzureContainer"]
    functions = {node.name: node for node in adapter.body if isinstance(node, ast.AsyncFunctionDef)}

    def actions(name: str) -> set[str]:
        found = set()
        for call in ast.walk(functions[name]):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                if call.func.attr in STORAGE_CALLS:
                    found.add(STORAGE_CALLS[call.func.attr])
                elif call.func.attr in functions and last_name(call.func.value) == "self":
                    found |= actions(call.func.attr)
        return found

    return {name: actions(name) for name in functions if not name.startswith("_")}


def needed_by_the_app() -> dict[str, set[str]]:
    """Container to actions, from the calls on the storage port in the stages."""
    methods = port_methods()
    needed: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees("pipeline"):
        if path == "pipeline/azure_storage.py":
            continue
        calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call)]
        waited = {id(call) for call in waited_for(tree)}
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id == "listed":
                found, method = containers_of(path, call.args[0]), "pages"
            elif isinstance(call.func, ast.Attribute) and call.func.attr in methods:
                found, method = containers_of(path, call.func.value), call.func.attr
                if method == "append" and id(call) not in waited:
                    continue  # a list's
                ours = id(call) in waited or method == "pages"
                name = last_name(call.func.value)
                known = (path, name) in NAMED_ELSE or name.strip("_") in NOT_STORAGE
                if not found and ours and not known:
                    pytest.fail(f"{path}:{call.lineno}: which container is this? Say so in NAMED_ELSE")
            else:
                continue
            for container in found:
                needed[container] |= methods[method]
    return needed


NOT_STORAGE = {"self", "status", "inbox", "journal", "app", "request", "response", "keeper", "batch"}
"""Things of ours with methods named like the port's, which do not reach storage by themselves."""


def needed_by_the_node() -> dict[str, set[str]]:
    """Container to actions, from the calls on the worker's storage port; its first argument is the container."""
    needed: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees("worker"):
        if path == "worker/storage.py":
            continue
        for call in waited_for(tree):
            if not (isinstance(call.func, ast.Attribute) and call.func.attr in WORKER_CALLS):
                continue
            if last_name(call.func.value).strip("_") != "blobs":
                continue
            found = containers_of(path, call.args[0])
            assert found, f"{path}:{call.lineno}: which container is this? Say so in NAMED_ELSE"
            for container in found:
                needed[container].add(f"{BLOBS}/{WORKER_CALLS[call.func.attr]}")
    return needed


def granted(identity: str) -> dict[str, set[str]]:
    """Container to actions that the table grants."""
    container_of = {f"{name.upper()}_CONTAINER": name for name in CONTAINERS}
    found: dict[str, set[str]] = defaultdict(set)
    for grant in PERMISSIONS["containerGrants"]:
        if grant["identity"] == identity:
            found[container_of[grant["container"]]] |= set(ROLES[grant["role"]]["dataActions"])
    return found


def test_every_storage_call_in_the_adapter_is_known() -> None:
    """A new call of the SDK is looked up, with its action, before it is used."""
    (tree,) = [tree for path, tree in trees("pipeline") if path == "pipeline/azure_storage.py"]
    called = {
        call.func.attr
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and "blob" in call.func.attr
    }
    assert called - NO_REQUEST - STORAGE_CALLS.keys() == set()


def test_storage_is_reached_through_the_adapter_only() -> None:
    """No stage calls the SDK past the port, where this table could not see it."""
    direct = [
        f"{path}:{call.lineno}: {call.func.attr}"
        for path, tree in trees("pipeline")
        if path != "pipeline/azure_storage.py"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in STORAGE_CALLS
    ]
    assert direct == []


def test_the_app_may_do_what_its_stages_do_and_no_more() -> None:
    """For each container: the actions that the stages' calls need are exactly those granted."""
    assert dict(needed_by_the_app()) == dict(granted("app"))


def test_a_node_may_do_what_the_worker_does_and_no_more() -> None:
    """As for the function app; and Batch itself reads the worker's package with the node's identity."""
    needed = needed_by_the_node()
    needed["scripts"].add(f"{BLOBS}/read")
    # A reader of PNGs and outcomes is a writer of them: HEAD and GET are in the same role.
    assert dict(needed) == dict(granted("node"))


def test_the_app_may_do_with_batch_what_it_does_and_no_more() -> None:
    """Every request of the adapter is known; together they need exactly the actions granted."""
    (tree,) = [tree for path, tree in trees("pipeline") if path == "pipeline/azure_batch.py"]
    called = {
        call.func.attr
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and last_name(call.func.value) == "_client"
        and call.func.attr != "close"
    }
    assert called <= BATCH_CALLS.keys()
    (grant,) = PERMISSIONS["batchGrants"]
    role = ROLES[grant["role"]]
    assert grant["identity"] == "app"
    assert {BATCH_CALLS[name] for name in called} | {ACCOUNT_READ} == {*role["actions"], *role["dataActions"]}
    assert all("/jobs/" in action for action in role["dataActions"])
    assert not any("/jobs/" in action for action in role["actions"])


def test_no_role_has_a_wildcard() -> None:
    """Actions are named one by one."""
    actions = [action for role in ROLES.values() for action in (*role["actions"], *role["dataActions"])]
    assert [action for action in actions if "*" in action] == []


def test_every_role_is_used_and_every_grant_has_a_reason() -> None:
    """The table holds nothing that is not needed, and says why for each line."""
    grants = [*PERMISSIONS["containerGrants"], *PERMISSIONS["batchGrants"]]
    assert {grant["role"] for grant in grants} == ROLES.keys()
    assert [grant for grant in (*grants, *PERMISSIONS["builtInGrants"]) if len(grant["why"]) < 15] == []
    assert {grant["container"] for grant in PERMISSIONS["containerGrants"]} <= set(names(StorageSettings))


def test_the_templates_assign_exactly_the_table(deployment: Deployment) -> None:
    """One assignment a line, of the line's role, on the line's container; and the roles are the table's."""
    definitions = {
        item.name: item.body["properties"] for item in deployment.of("Microsoft.Authorization/roleDefinitions")
    }
    assert {body["roleName"] for body in definitions.values()} == {f"{role['name']} (demo)" for role in ROLES.values()}
    assigned = sorted(
        (
            Path(item.scope).name,
            definitions[item.body["properties"]["roleDefinitionId"].rsplit("/", 1)[1]]["roleName"],
        )
        for item in deployment.of("Microsoft.Authorization/roleAssignments")
        if item.body["properties"]["roleDefinitionId"].rsplit("/", 1)[1] in definitions
    )
    (account,) = deployment.of("Microsoft.Batch/batchAccounts")
    expected = [
        (grant["container"].removesuffix("_CONTAINER").lower(), f"{ROLES[grant['role']]['name']} (demo)")
        for grant in PERMISSIONS["containerGrants"]
    ] + [(account.name, f"{ROLES[grant['role']]['name']} (demo)") for grant in PERMISSIONS["batchGrants"]]
    assert assigned == sorted(expected)
