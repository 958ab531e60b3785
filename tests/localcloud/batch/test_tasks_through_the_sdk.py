"""Jobs and tasks through the unmodified SDK: what runs, with which variables, and how it shows."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from tests.localcloud.batch.conftest import (
    LocalBatch,
    code_of,
    file_text,
    finished_task,
    make_job,
    make_pool,
    task,
    wait_for,
)


@pytest.fixture(scope="module", autouse=True)
def pool(client: BatchClient) -> str:
    make_pool(client, "shared", task_slots_per_node=4)
    make_job(client, "work", "shared")
    return "shared"


def test_a_task_runs_and_shows_its_output_and_exit_code(client: BatchClient) -> None:
    client.create_task("work", task("hello", "/bin/sh -c 'echo out; echo err >&2; exit 3'"))
    done = finished_task(client, "work", "hello")
    assert done.execution_info is not None
    assert done.execution_info.exit_code == 3
    assert done.execution_info.result == m.BatchTaskExecutionResult.FAILURE
    assert done.execution_info.failure_info is not None
    assert done.execution_info.failure_info.code == "FailureExitCode"
    assert file_text(client, "work", "hello", "stdout.txt") == "out\n"
    assert file_text(client, "work", "hello", "stderr.txt") == "err\n"


def test_the_command_line_is_split_and_not_given_to_a_shell(client: BatchClient) -> None:
    client.create_task("work", task("noshell", "printf '%s|' a 'b c' $HOME \"*\""))
    finished_task(client, "work", "noshell")
    assert file_text(client, "work", "noshell", "stdout.txt") == "a|b c|$HOME|*|"


def test_a_task_gets_batchs_variables_the_image_and_its_own_settings_but_not_the_services_environment(
    client: BatchClient,
) -> None:
    settings = [m.EnvironmentSetting(name="MINE", value="yes")]
    client.create_task("work", task("env", "env", environment_settings=settings))
    done = finished_task(client, "work", "env")
    found = dict(line.split("=", 1) for line in file_text(client, "work", "env", "stdout.txt").splitlines())
    assert found["AZ_BATCH_JOB_ID"] == "work"
    assert found["AZ_BATCH_TASK_ID"] == "env"
    assert found["AZ_BATCH_POOL_ID"] == "shared"
    assert done.node_info is not None
    assert found["AZ_BATCH_NODE_ID"] == done.node_info.node_id
    assert found["AZ_BATCH_TASK_WORKING_DIR"].endswith("/workitems/work/job-1/env/wd")
    assert found["MINE"] == "yes"
    assert found["IMAGE_VALUE"] == "from-image"
    assert "MUST_NOT_LEAK" not in found


def test_a_program_that_does_not_exist_completes_the_task_with_batchs_reason(client: BatchClient) -> None:
    client.create_task("work", task("noprogram", "no-such-program --now"))
    done = finished_task(client, "work", "noprogram")
    assert done.execution_info is not None
    assert done.execution_info.failure_info is not None
    assert done.execution_info.failure_info.code == "CommandProgramNotFound"


def test_output_can_be_read_in_ranges_while_the_task_runs(client: BatchClient) -> None:
    client.create_task("work", task("running", "/bin/sh -c 'echo 0123456789; sleep 60'"))

    def written() -> bool:
        try:
            return file_text(client, "work", "running", "stdout.txt") != ""
        except HttpResponseError:
            return False

    wait_for(written, what="output")
    part = b"".join(client.download_task_file("work", "running", "stdout.txt", ocp_range="bytes=2-4"))
    assert part == b"234"
    client.terminate_task("work", "running")
    done = finished_task(client, "work", "running")
    assert done.execution_info is not None
    assert done.execution_info.failure_info is not None
    assert done.execution_info.failure_info.code == "TaskEnded"


def test_file_properties_come_as_headers_and_listings_as_names(client: BatchClient) -> None:
    client.create_task("work", task("files", "/bin/sh -c 'mkdir deep; echo x > deep/file.txt'"))
    finished_task(client, "work", "files")
    names = {f.name for f in client.list_task_files("work", "files", recursive=True)}
    assert {"stdout.txt", "stderr.txt", "wd", "wd/deep", "wd/deep/file.txt"} <= names
    properties = client.get_task_file_properties("work", "files", "wd/deep/file.txt")
    assert properties.content_length == 2


def test_a_task_id_is_taken_once_without_regard_to_case(client: BatchClient) -> None:
    client.create_task("work", task("Once", "true"))
    with pytest.raises(ResourceExistsError) as caught:
        client.create_task("work", task("once", "true"))
    assert code_of(caught.value) == "TaskExists"


def test_a_bulk_add_tells_each_tasks_fate_and_the_sdk_counts_existing_ones_as_added(client: BatchClient) -> None:
    make_job(client, "bulk", "shared")
    client.create_task("bulk", task("t-0", "true"))
    client.create_tasks("bulk", [task(f"t-{n}", "true") for n in range(250)])
    listed = {t.id for t in client.list_tasks("bulk")}
    assert listed == {f"t-{n}" for n in range(250)}


def test_lists_filter_select_and_page(client: BatchClient) -> None:
    make_job(client, "listed", "shared")
    client.create_tasks("listed", [task(f"n-{n:03}", "true" if n % 2 else "false") for n in range(30)])
    counts = wait_for(lambda: c if (c := client.get_job_task_counts("listed").task_counts).completed == 30 else None)
    assert (counts.succeeded, counts.failed) == (15, 15)
    pages = list(client.list_tasks("listed", max_results=7).by_page())
    assert [len(list(page)) for page in pages] == [7, 7, 7, 7, 2]
    failed = client.list_tasks(
        "listed", filter="state eq 'completed' and executionInfo/exitCode ne 0", select=["id", "executionInfo"]
    )
    found = [t.as_dict() for t in failed]
    assert len(found) == 15
    assert found[0].keys() == {"id", "executionInfo"}
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"(state ne 'completed') or (stateTransitionTime ge datetime'{since}')"
    assert len(list(client.list_tasks("listed", filter=text))) == 30


def test_a_filter_that_batch_would_not_understand_is_refused_with_the_reason(client: BatchClient) -> None:
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_tasks("work", filter="colour eq 'red'"))
    assert caught.value.status_code == 400
    assert code_of(caught.value) == "InvalidQueryParameterValue"


def test_what_does_not_exist_is_not_found_by_its_own_code(client: BatchClient) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_job("nowhere")
    assert code_of(caught.value) == "JobNotFound"
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_task("work", "nothing")
    assert code_of(caught.value) == "TaskNotFound"


def test_a_wrong_key_is_refused(service: LocalBatch) -> None:
    with service.client(key="d3Jvbmc=") as wrong, pytest.raises(HttpResponseError) as caught:
        wrong.get_job("work")
    assert caught.value.status_code == 403
    assert code_of(caught.value) == "AuthenticationFailed"
