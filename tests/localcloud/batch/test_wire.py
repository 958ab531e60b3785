"""What goes over the wire: signatures, versions, errors, limits; and requests as azure-cli sends them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.localcloud.batch.conftest import LocalBatch, start_service, wait_for
from tests.localcloud.batch.wire_client import VERSION, send

POOL = {
    "id": "wire",
    "vmSize": "standard_d2s_v3",
    "virtualMachineConfiguration": {
        "imageReference": {"publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts"},
        "nodeAgentSKUId": "batch.node.ubuntu 22.04",
    },
}
CLI_VERSION = "2024-02-01.19.0"

# As azure-cli 2.91 sent them, recorded: its api-version, numbers as strings, percent-encoded query.
CLI_REQUESTS: tuple[tuple[str, str, dict[str, Any] | None, int], ...] = (
    ("POST", "/pools", {**POOL, "id": "cli", "targetDedicatedNodes": "1"}, 201),
    ("GET", "/pools/cli", None, 200),
    ("POST", "/pools/cli/evaluateautoscale", {"autoScaleFormula": "$TargetDedicatedNodes=3"}, 409),
    ("POST", "/jobs", {"priority": "3", "id": "cli", "poolInfo": {"poolId": "cli"}}, 201),
    ("POST", "/jobs/cli/tasks", {"id": "t1", "commandLine": "true", "constraints": {"maxTaskRetryCount": "1"}}, 201),
    (
        "POST",
        "/jobs/cli/addtaskcollection",
        {"value": [{"id": "t2", "commandLine": "true", "requiredSlots": "1"}]},
        200,
    ),
    ("GET", "/jobs/cli/tasks?$filter=state%20eq%20%27completed%27&$select=id%2Cstate", None, 200),
    ("GET", "/pools/cli/nodes", None, 200),
    ("POST", "/jobs/cli/terminate", {}, 202),
    ("DELETE", "/jobs/cli", None, 202),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    """Two accounts."""
    local = start_service(tmp_path_factory.mktemp("wire"), "--account", "one", "--account", "two")
    yield local
    local.stop()


def path(rest: str, version: str = VERSION) -> str:
    return f"{rest}{'&' if '?' in rest else '?'}api-version={version}"


def test_requests_as_azure_cli_sends_them_are_understood(service: LocalBatch) -> None:
    for method, target, body, status in CLI_REQUESTS:
        answer = send(service, method, path(target, CLI_VERSION), body)
        assert answer.status == status, (method, target, answer.body)
    listed = send(service, "GET", path("/pools", CLI_VERSION)).json()["value"]
    assert [p["targetDedicatedNodes"] for p in listed if p["id"] == "cli"] == [1]


def test_an_unsigned_request_and_a_forged_one_get_403(service: LocalBatch) -> None:
    unsigned = send(service, "GET", path("/pools"), signed=False)
    assert (unsigned.status, unsigned.code) == (403, "AuthenticationFailed")
    forged = send(service, "GET", path("/pools"), account=("one", "bm90IHRoZSBrZXk="))
    assert (forged.status, forged.code) == (403, "AuthenticationFailed")
    unknown = send(service, "GET", path("/pools"), account=("three", service.key))
    assert (unknown.status, unknown.code) == (403, "AuthenticationFailed")


def test_a_signature_is_good_for_a_quarter_of_an_hour(service: LocalBatch) -> None:
    assert send(service, "GET", path("/pools"), age=timedelta(minutes=14)).status == 200
    assert send(service, "GET", path("/pools"), age=timedelta(minutes=16)).status == 403


@pytest.mark.parametrize("version", ["2031-01-01", "2025-06-01-preview", "latest"])
def test_an_api_version_that_is_not_known_is_refused(service: LocalBatch, version: str) -> None:
    answer = send(service, "GET", path("/pools", version))
    assert (answer.status, answer.code) == (400, "UnsupportedRequestVersion")


def test_a_request_without_an_api_version_is_refused(service: LocalBatch) -> None:
    answer = send(service, "GET", "/pools")
    assert (answer.status, answer.code) == (400, "MissingRequiredQueryParameter")


def test_an_error_has_batchs_shape(service: LocalBatch) -> None:
    answer = send(service, "GET", path("/pools/nowhere"))
    document = answer.json()
    assert answer.status == 404
    assert document["code"] == "PoolNotFound"
    assert document["odata.metadata"].endswith("/@Element")
    assert document["message"]["lang"] == "en-US"
    first, request, time = document["message"]["value"].split("\n")
    assert first == "The specified pool does not exist."
    assert request == f"RequestId:{answer.headers['request-id']}"
    assert time.startswith("Time:20")


def test_a_body_that_is_no_json_and_a_path_that_is_nothing_are_refused(service: LocalBatch) -> None:
    assert send(service, "POST", path("/pools"), b"{").code == "InvalidRequestBody"
    assert send(service, "GET", path("/nothing/at/all")).code == "InvalidUri"
    assert send(service, "PUT", path("/pools")).status == 405


def test_a_missing_property_is_named(service: LocalBatch) -> None:
    answer = send(service, "POST", path("/jobs"), {"id": "j"})
    assert (answer.status, answer.code) == (400, "MissingRequiredProperty")
    assert {"key": "PropertyName", "value": "poolInfo"} in answer.json()["values"]


def test_a_collection_over_one_megabyte_gets_413_and_over_100_tasks_400(service: LocalBatch) -> None:
    send(service, "POST", path("/jobs"), {"id": "big", "poolInfo": {"poolId": "none"}})
    large = {"value": [{"id": f"t{n}", "commandLine": "x" * 30_000} for n in range(50)]}
    answer = send(service, "POST", path("/jobs/big/addtaskcollection"), large)
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")
    many = {"value": [{"id": f"t{n}", "commandLine": "x"} for n in range(101)]}
    assert send(service, "POST", path("/jobs/big/addtaskcollection"), many).status == 400


def test_each_task_of_a_collection_has_a_fate_of_its_own(service: LocalBatch) -> None:
    send(service, "POST", path("/jobs"), {"id": "fates", "poolInfo": {"poolId": "none"}})
    items = [
        {"id": "good", "commandLine": "x"},
        {"id": "bad id", "commandLine": "x"},
        {"id": "good", "commandLine": "x"},
    ]
    results = send(service, "POST", path("/jobs/fates/addtaskcollection"), {"value": items}).json()["value"]
    assert [r["status"] for r in results] == ["success", "clienterror", "clienterror"]
    assert [r.get("error", {}).get("code") for r in results] == [None, "InvalidPropertyValue", "TaskExists"]


def test_an_unknown_job_refuses_the_whole_collection(service: LocalBatch) -> None:
    answer = send(service, "POST", path("/jobs/none/addtaskcollection"), {"value": [{"id": "t", "commandLine": "x"}]})
    assert (answer.status, answer.code) == (404, "JobNotFound")


def test_pages_follow_their_next_links(service: LocalBatch) -> None:
    send(service, "POST", path("/jobs"), {"id": "paged", "poolInfo": {"poolId": "none"}})
    items = [{"id": f"t{n}", "commandLine": "x"} for n in range(5)]
    send(service, "POST", path("/jobs/paged/addtaskcollection"), {"value": items})
    target: str | None = path("/jobs/paged/tasks?maxresults=2&$select=id")
    seen: list[str] = []
    while target is not None:
        document = send(service, "GET", target).json()
        seen += [t["id"] for t in document["value"]]
        link = document.get("odata.nextLink")
        target = None if link is None else link.removeprefix(service.endpoint)
    assert seen == ["t0", "t1", "t2", "t3", "t4"]
    assert send(service, "GET", path("/jobs/paged/tasks?maxresults=1001")).code == "OutOfRangeQueryParameterValue"


def test_conditions_on_reads_and_writes(service: LocalBatch) -> None:
    send(service, "POST", path("/jobs"), {"id": "tagged", "poolInfo": {"poolId": "none"}})
    tag = send(service, "GET", path("/jobs/tagged")).headers["etag"]
    assert send(service, "GET", path("/jobs/tagged"), headers={"if-none-match": tag}).status == 304
    stale = send(service, "PATCH", path("/jobs/tagged"), {"priority": 1}, headers={"if-match": '"0x1"'})
    assert (stale.status, stale.code) == (412, "ConditionNotMet")
    assert send(service, "PATCH", path("/jobs/tagged"), {"priority": 1}, headers={"if-match": tag}).status == 200


def test_accounts_do_not_see_each_other(service: LocalBatch) -> None:
    keys = json.loads((service.data / "batch-endpoint.json").read_text())["accounts"]
    send(service, "POST", path("/jobs"), {"id": "mine", "poolInfo": {"poolId": "none"}})
    other = send(service, "GET", path("/jobs"), account=("two", keys["two"]))
    assert other.json()["value"] == []
    assert "mine" in {j["id"] for j in send(service, "GET", path("/jobs")).json()["value"]}


def test_a_range_outside_the_file_is_refused_and_paths_stay_inside(service: LocalBatch) -> None:
    send(service, "POST", path("/pools"), {**POOL, "id": "ranged", "targetDedicatedNodes": 1})
    send(service, "POST", path("/jobs"), {"id": "ranged", "poolInfo": {"poolId": "ranged"}})
    send(service, "POST", path("/jobs/ranged/tasks"), {"id": "t", "commandLine": "echo 0123456789"})
    target = path("/jobs/ranged/tasks/t")
    wait_for(lambda: send(service, "GET", target).json()["state"] == "completed", what="the task")
    file = path("/jobs/ranged/tasks/t/files/stdout.txt")
    assert send(service, "GET", file, headers={"ocp-range": "bytes=3-5"}).body == b"345"
    beyond = send(service, "GET", file, headers={"ocp-range": "bytes=99-"})
    assert (beyond.status, beyond.code) == (416, "InvalidRange")
    outside = send(service, "GET", path("/jobs/ranged/tasks/t/files/..%2F..%2F..%2F..%2F..%2F..%2Fstate.db"))
    assert (outside.status, outside.code) == (404, "FileNotFound")


def test_the_key_is_written_for_its_owner_only(service: LocalBatch) -> None:
    assert (service.data / "batch-endpoint.json").stat().st_mode & 0o777 == 0o600
