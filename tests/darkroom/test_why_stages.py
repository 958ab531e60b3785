"""What the app's own stages leave behind when they fail: each is run for real, into its fault."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from darkroom.why.finding import Code
from darkroom.why.role import APP_BATCH_ROLE, APP_ROLES, is_denied
from pipeline import plan
from pipeline.clients import open_app
from pipeline.storage import AccessDeniedError
from shared import arrival
from shared.naming import Naming
from tests.chaos.proxy import Dialect, FaultProxy
from tests.chaos.weather import Fault, Rule, Weather
from tests.darkroom.places import KEY, ROOT, until
from tests.darkroom.system import System

pytestmark = pytest.mark.azurite


def sas(system: System, *, without: str) -> str:
    """A connection string whose signature lacks one right."""
    rights = {"read", "write", "delete", "list", "add", "create"} - {without}
    token = generate_account_sas(
        "devstoreaccount1",
        KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(**dict.fromkeys(rights, True)),
        datetime.now(UTC) + timedelta(hours=1),
    )
    endpoint = system.place.service.url.rstrip("/").split("?", maxsplit=1)[0]
    return f"BlobEndpoint={endpoint};SharedAccessSignature={token}"


# --- stages that fail ---


@pytest.mark.provokes(Code.STAGE_FAILED)
def test_a_plan_of_another_release_stops_dispatch_and_is_named(system: System) -> None:
    made = plan.Plan(id="x", created="t", naming=Naming.REPLACE, max_images=1, max_bytes=1, inboxes=())
    stored = json.loads(plan.to_bytes(made))
    system.place.put("manifests", plan.BLOB, json.dumps(stored | {"schema": 9}).encode())
    system.dispatch()
    found = system.why()["stage-failed"]
    assert found["weight"] == "blocked"
    assert plan.BLOB in found["evidence"][0]


@pytest.mark.provokes(Code.STAGE_FAILED)
def test_a_manifest_that_somebody_changed_stops_collect_for_itself_alone(system: System) -> None:
    system.make_pool(nodes=1)
    good, bad = system.give_work("true", "true")
    system.until_tasks(succeeded=2)
    stored = system.place.service.get_blob_client(system.place.environ["MANIFESTS_CONTAINER"], f"sealed/{bad}.json")
    metadata = stored.get_blob_properties().metadata
    stored.upload_blob(b'{"kind": "manifest", "schema": 9}', overwrite=True, metadata=metadata)
    system.collect()
    assert f"sealed/{bad}.json" in system.why()["stage-failed"]["evidence"][0]
    assert f"sealed/{good}.json" not in system.place.names("manifests")


@pytest.mark.provokes(Code.PERMISSION_DENIED)
def test_an_identity_of_the_app_that_may_not_list_is_told_the_role_it_lacks(system: System) -> None:
    """Storage itself refuses: the app's signature lacks a right, the operator's does not."""
    system.dispatch(STORAGE_CONNECTION_STRING=sas(system, without="list"))
    found = system.why()["permission-denied"]
    assert "AuthorizationPermissionMismatch" in found["evidence"][0]
    manifests = system.place.environ["MANIFESTS_CONTAINER"]
    assert f"{APP_ROLES['manifests']} on container '{manifests}'" in found["advice"]


def sweep_denied(system: System, container: str) -> None:
    """A sweep between which and storage a proxy answers as Azure does to an identity without a role on a container."""
    direct = system.environ()["STORAGE_CONNECTION_STRING"]
    port = urlsplit(system.place.service.url).port or 0
    weather = Weather(seed=1, rules=[Rule(fault=Fault.DENIED, rate=1.0, target=f"/devstoreaccount1/{container}")])

    async def sweep() -> None:
        async with FaultProxy(upstream_port=port, weather=weather, dialect=Dialect.STORAGE) as proxy:
            through = system.environ() | {"STORAGE_CONNECTION_STRING": direct.replace(f":{port}/", f":{proxy.port}/")}
            async with open_app(through) as app:
                with contextlib.suppress(AccessDeniedError):
                    await app.sweep()

    asyncio.run(sweep())


@pytest.mark.parametrize("purpose", ["images", "converted", "quarantine"])
@pytest.mark.provokes(Code.PERMISSION_DENIED)
def test_an_identity_of_the_app_without_its_role_on_one_container_is_told_that_role(
    system: System, purpose: str
) -> None:
    container = system.place.environ[f"{purpose.upper()}_CONTAINER"]
    sweep_denied(system, container)
    found = system.why()["permission-denied"]
    assert "AuthorizationPermissionMismatch" in found["evidence"][0]
    assert f"{APP_ROLES[purpose]} on container '{container}'" in found["advice"]


@pytest.mark.provokes(Code.PERMISSION_DENIED)
def test_an_identity_of_the_app_that_batch_refuses_is_told_the_role_on_the_account(system: System) -> None:
    system.arrive("a.jpg")
    system.dispatch(BATCH_KEY="d3Jvbmc=")
    found = system.why()["permission-denied"]
    assert "AuthenticationFailed" in found["evidence"][0]
    assert f"{APP_BATCH_ROLE} on the Batch account" in found["advice"]


@pytest.mark.parametrize(
    ("code", "message", "denied"),
    [
        ("AccessDeniedError", "could not list m/sealed/: 403 AuthorizationPermissionMismatch: …", True),
        ("AuthenticationFailed", "could not look at pool p: 403 AuthenticationFailed: …", True),
        ("StorageUnavailableError", "could not find m/20261121T140312-00000403: 403 Forbidden", True),
        (
            "StorageUnavailableError",
            "could not read m/sealed/20261121T140312-ab403-0001.json: 500 InternalError",
            False,
        ),
        ("DocumentError", "quarantine/forbidden permission 403.jpg: schema version 9", False),
    ],
)
def test_a_missing_right_is_told_by_the_refusal_and_not_by_a_name(code: str, message: str, *, denied: bool) -> None:
    assert is_denied(code, message) is denied


def test_the_roles_that_are_told_are_those_that_the_deployment_gives() -> None:
    permissions = json.loads((ROOT / "infra" / "permissions.json").read_text())
    named = {role["key"]: role["name"] for role in permissions["roles"]}
    given = {
        grant["container"].removesuffix("_CONTAINER").lower(): named[grant["role"]]
        for grant in permissions["containerGrants"]
        if grant["identity"] == "app"
    }
    assert given == APP_ROLES
    assert {named[grant["role"]] for grant in permissions["batchGrants"]} == {APP_BATCH_ROLE}


@pytest.mark.provokes(Code.QUOTA)
def test_a_quota_of_active_jobs(system: System) -> None:
    """Another job takes the one place; dispatch cannot make today's."""
    system.make_pool(nodes=0)
    system.batch.order("quotas", activeJobs=0)
    system.arrive("a.jpg")
    system.dispatch()
    found = system.why()["quota"]
    assert "ActiveJobAndScheduleQuotaReached" in found["evidence"][0]
    assert "darkroom clean jobs" in found["advice"]


@pytest.mark.provokes(Code.DISPATCH_BEHIND, Code.QUOTA)
def test_manifests_that_get_no_task_for_longer_than_they_should(system: System) -> None:
    system.make_pool(nodes=0)
    system.batch.order("quotas", activeJobs=0)
    system.arrive("a.jpg")
    system.dispatch()
    assert "dispatch-behind" not in system.why()
    until(lambda: "dispatch-behind" in system.why("--patience", "1"))
    assert "1 manifest(s) have no task" in system.why("--patience", "1")["dispatch-behind"]["what"]


@pytest.mark.provokes(Code.DISPATCH_BEHIND)
def test_arrivals_that_dispatch_does_not_take(system: System) -> None:
    system.arrive("a.jpg")
    assert "dispatch-behind" not in system.why()
    until(lambda: "dispatch-behind" in system.why("--patience", "1"))
    assert "inbox(es) of arrivals wait" in system.why("--patience", "1")["dispatch-behind"]["what"]
    system.dispatch()
    assert "dispatch-behind" not in system.why()


@pytest.mark.provokes(Code.INBOX_REFUSED)
def test_an_inbox_of_another_release_is_set_aside_by_dispatch(system: System) -> None:
    line = json.loads(arrival.to_line(arrival.Arrival(id="1", name="a.jpg", etag="e", size=1, time="t")))
    inbox = system.place.service.get_blob_client(system.place.environ["MANIFESTS_CONTAINER"], "inbox/other/1.jsonl")
    inbox.create_append_blob()
    inbox.append_block(json.dumps(line | {"schema": 9}).encode() + b"\n")
    system.dispatch()
    assert system.why()["inbox-refused"]["evidence"] == ["refused/other/1.jsonl"]


# --- events that never came ---


@pytest.mark.provokes(Code.EVENTS_MISSED)
def test_images_that_only_the_sweep_found(system: System) -> None:
    for number in range(3):
        system.place.put("images", f"unseen/{number}.jpg")
    system.sweep()
    found = system.why()["events-missed"]
    assert "3 image(s)" in found["what"]
    assert "unseen/0.jpg" in found["evidence"]
    system.sweep()
    assert "events-missed" not in system.why()  # they are in an inbox now


# --- timers ---


@pytest.mark.provokes(Code.TIMER_LATE)
def test_a_timer_is_late_by_its_own_schedule(system: System) -> None:
    """Dispatch last ran just now. On a schedule of seconds it is late soon, on one of hours it is not."""
    system.dispatch(DISPATCH_SCHEDULE="* * * * * *")
    until(lambda: "timer-late" in system.why("--patience", "1"))
    found = system.why("--patience", "1")["timer-late"]
    assert found["weight"] == "blocked"
    assert "dispatch (* * * * * *)" in found["what"]
    system.dispatch(DISPATCH_SCHEDULE="0 0 */6 * * *")
    system.collect(COLLECT_SCHEDULE="0 0 */6 * * *")
    assert "timer-late" not in system.why("--patience", "0")


@pytest.mark.provokes(Code.TIMER_LATE)
def test_stages_that_have_never_run(system: System) -> None:
    for stage in ("dispatch", "collect"):
        system.place.service.get_blob_client(
            system.place.environ["MANIFESTS_CONTAINER"], f"state/{stage}.json"
        ).delete_blob()
    assert "has never run" in system.why()["timer-late"]["what"]


# --- a probe that cannot look ---


@pytest.mark.provokes(Code.PROBE_FAILED)
def test_a_probe_that_gets_no_answer_says_so_and_lets_the_others_speak(system: System) -> None:
    found = system.why(DARKROOM_EVENTS_URL="http://127.0.0.1:9")
    assert "Could not look at events" in found["probe-failed"]["what"]
    assert {"pool-missing", "nothing-waits"} <= found.keys()


@pytest.mark.provokes(Code.PROBE_FAILED)
def test_what_is_at_the_address_of_the_function_app_and_is_none(system: System) -> None:
    """What is at the function app's address answers, but with nothing that a function app would say: storage."""
    found = system.why(DARKROOM_FUNCTIONS_URL=system.place.service.url.split("/devstoreaccount1")[0])
    assert "not as Darkroom does" in found["probe-failed"]["what"]
    assert {"pool-missing", "nothing-waits"} <= found.keys()
