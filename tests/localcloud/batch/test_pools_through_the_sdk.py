"""Pools, nodes and autoscale through the unmodified SDK."""

from datetime import timedelta

import pytest
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from tests.localcloud.batch.conftest import (
    as_options,
    code_of,
    finished_task,
    machine,
    make_job,
    make_pool,
    nodes_in,
    task,
    wait_for,
)

SECRET = "not to be shown"  # noqa: S105 - no secret of anything


def test_a_pool_comes_back_as_it_was_made_without_its_secrets(client: BatchClient) -> None:
    accounts = [m.UserAccount(name="ann", password=SECRET, elevation_level=m.ElevationLevel.ADMIN)]
    mount = m.MountConfiguration(
        nfs_mount_configuration=m.NfsMountConfiguration(source="nfs:/export", relative_mount_path="data")
    )
    make_pool(
        client,
        "as-made",
        target_dedicated_nodes=0,
        display_name="As made",
        task_slots_per_node=8,
        user_accounts=accounts,
        mount_configuration=[mount],
        metadata=[m.BatchMetadataItem(name="k", value="v")],
        task_scheduling_policy=m.BatchTaskSchedulingPolicy(node_fill_type=m.BatchNodeFillType.PACK),
    )
    pool = client.get_pool("as-made")
    assert pool.display_name == "As made"
    assert pool.task_slots_per_node == 8
    assert pool.task_scheduling_policy is not None
    assert pool.task_scheduling_policy.node_fill_type == m.BatchNodeFillType.PACK
    assert pool.mount_configuration is not None
    assert pool.mount_configuration[0].nfs_mount_configuration is not None
    assert pool.mount_configuration[0].nfs_mount_configuration.source == "nfs:/export"
    assert pool.user_accounts is not None
    assert pool.user_accounts[0].name == "ann"
    assert SECRET not in str(pool.as_dict())
    assert pool.virtual_machine_configuration is not None
    assert pool.virtual_machine_configuration.node_agent_sku_id == "batch.node.ubuntu 22.04"


def test_a_pool_id_is_taken_once_and_deleting_frees_it(client: BatchClient) -> None:
    make_pool(client, "taken", target_dedicated_nodes=1)
    with pytest.raises(ResourceExistsError) as caught:
        make_pool(client, "TAKEN")
    assert code_of(caught.value) == "PoolExists"
    client.begin_delete_pool("taken", polling_interval=0).result()
    with pytest.raises(ResourceNotFoundError):
        client.get_pool("taken")
    make_pool(client, "taken", target_dedicated_nodes=0)


def test_exists_tells_a_pool_that_is_there(client: BatchClient) -> None:
    make_pool(client, "there", target_dedicated_nodes=0)
    assert client.pool_exists("there")
    with pytest.raises(ResourceNotFoundError):  # the SDK raises where one would expect False
        client.pool_exists("not-there")


@pytest.mark.parametrize(
    ("options", "property_name"),
    [
        ({"id": "bad id!"}, "id"),
        ({"task_slots_per_node": 0}, "taskSlotsPerNode"),
        ({"target_dedicated_nodes": -1}, "targetDedicatedNodes"),
        ({"resize_timeout": timedelta(minutes=1)}, "resizeTimeout"),
        ({"enable_auto_scale": True, "auto_scale_formula": "$TargetDedicatedNodes=1", "target_dedicated_nodes": 1},
         "targetDedicatedNodes"),
        ({"enable_auto_scale": True, "auto_scale_formula": "$TargetDedicatedNodes=1",
          "auto_scale_evaluation_interval": timedelta(minutes=4)}, "autoScaleEvaluationInterval"),
    ],
)  # fmt: skip
def test_a_pool_that_batch_would_refuse_is_refused_with_the_property(
    client: BatchClient, options: dict[str, object], property_name: str
) -> None:
    body = {"id": "refused", "vm_size": "standard_d2s_v3", "virtual_machine_configuration": machine(), **options}
    with pytest.raises(HttpResponseError) as caught:
        client.create_pool(m.BatchPoolCreateOptions(**body))  # type: ignore[call-overload]
    assert caught.value.status_code == 400
    assert code_of(caught.value) == "InvalidPropertyValue"
    assert property_name in str(caught.value.model)


def test_etags_guard_against_lost_updates(client: BatchClient) -> None:
    make_pool(client, "guarded", target_dedicated_nodes=0)
    old = client.get_pool("guarded")
    client.update_pool("guarded", m.BatchPoolUpdateOptions(metadata=[m.BatchMetadataItem(name="a", value="1")]))
    with pytest.raises(ResourceModifiedError):
        client.update_pool(
            "guarded",
            m.BatchPoolUpdateOptions(metadata=[]),
            etag=old.etag,
            match_condition=MatchConditions.IfNotModified,
        )
    new = client.get_pool("guarded")
    assert new.etag != old.etag
    assert new.metadata is not None
    client.replace_pool_properties("guarded", m.BatchPoolReplaceOptions(application_package_references=[], metadata=[]))
    assert not client.get_pool("guarded").metadata


def test_a_pool_grows_and_shrinks_to_what_resize_asks_for(client: BatchClient) -> None:
    make_pool(client, "resized", target_dedicated_nodes=1, target_low_priority_nodes=1)
    wait_for(lambda: len(nodes_in(client, "resized", "idle")) == 2, what="two nodes")
    client.begin_resize_pool(
        "resized", m.BatchPoolResizeOptions(target_dedicated_nodes=3, target_low_priority_nodes=0), polling_interval=0
    ).result()
    pool = client.get_pool("resized")
    assert (pool.current_dedicated_nodes, pool.current_low_priority_nodes) == (3, 0)
    assert pool.allocation_state == m.AllocationState.STEADY
    counts = next(iter(client.list_pool_node_counts(filter="poolId eq 'resized'")))
    assert counts.dedicated is not None
    assert counts.dedicated.total == 3
    assert {n.is_dedicated for n in client.list_nodes("resized")} == {True}


def test_removing_nodes_lowers_the_target(client: BatchClient) -> None:
    make_pool(client, "removed", target_dedicated_nodes=3)
    nodes = wait_for(lambda: n if len(n := nodes_in(client, "removed", "idle")) == 3 else None, what="three nodes")
    client.begin_remove_nodes(
        "removed", m.BatchNodeRemoveOptions(node_ids=[nodes[0].id, nodes[1].id]), polling_interval=0
    ).result()
    pool = client.get_pool("removed")
    assert (pool.current_dedicated_nodes, pool.target_dedicated_nodes) == (1, 1)
    assert [n.id for n in client.list_nodes("removed")] == [nodes[2].id]


def test_a_start_task_prepares_each_node_and_its_files_are_there(client: BatchClient) -> None:
    start = m.BatchStartTask(command_line="/bin/sh -c 'echo started; pwd'", wait_for_success=True)
    make_pool(client, "started", start_task=start)
    node = wait_for(lambda: nodes_in(client, "started", "idle"), what="the node")[0]
    assert node.start_task_info is not None
    assert node.start_task_info.exit_code == 0
    text = b"".join(client.download_node_file("started", node.id, "startup/stdout.txt")).decode()
    assert text.splitlines()[0] == "started"
    assert text.splitlines()[1].endswith("/startup/wd")


def test_a_start_task_that_fails_after_its_retries_leaves_the_node_unusable(client: BatchClient) -> None:
    start = m.BatchStartTask(command_line="false", wait_for_success=True, max_task_retry_count=2)
    make_pool(client, "failing", start_task=start)
    node = wait_for(lambda: nodes_in(client, "failing", "starttaskfailed"), what="the failure")[0]
    assert node.start_task_info is not None
    assert node.start_task_info.retry_count == 2
    assert node.start_task_info.failure_info is not None
    make_job(client, "never", "failing")
    client.create_task("never", task("t", "true"))
    assert client.get_task("never", "t").state == m.BatchTaskState.ACTIVE
    counts = next(iter(client.list_pool_node_counts(filter="poolId eq 'failing'")))
    assert counts.dedicated is not None
    assert counts.dedicated.start_task_failed == 1


def test_a_node_reboots_and_reimages_and_its_task_runs_again(client: BatchClient) -> None:
    make_pool(client, "rebooted")
    make_job(client, "rebooted", "rebooted")
    client.create_task("rebooted", task("t", "/bin/sh -c 'test -e marked || { touch marked; sleep 60; }'"))
    node = wait_for(lambda: nodes_in(client, "rebooted", "running"), what="the task")[0]
    wait_for(lambda: "wd/marked" in {f.name for f in client.list_task_files("rebooted", "t", recursive=True)})
    client.begin_reboot_node("rebooted", node.id, as_options(nodeRebootOption="requeue"), polling_interval=0).result()
    done = finished_task(client, "rebooted", "t")
    assert done.execution_info is not None
    assert (done.execution_info.exit_code, done.execution_info.requeue_count) == (0, 1)
    client.begin_reimage_node("rebooted", node.id, as_options(nodeReimageOption="requeue"), polling_interval=0).result()
    wait_for(lambda: nodes_in(client, "rebooted", "idle"), what="the node")


def test_a_node_with_scheduling_disabled_takes_no_tasks(client: BatchClient) -> None:
    make_pool(client, "offline")
    make_job(client, "offline", "offline")
    node = wait_for(lambda: nodes_in(client, "offline", "idle"), what="the node")[0]
    options = m.BatchNodeDisableSchedulingOptions(node_disable_scheduling_option="requeue")
    client.disable_node_scheduling("offline", node.id, options)
    with pytest.raises(ResourceExistsError) as caught:
        client.disable_node_scheduling("offline", node.id, options)
    assert code_of(caught.value) == "NodeAlreadyInTargetSchedulingState"
    assert client.get_node("offline", node.id).state == m.BatchNodeState.OFFLINE
    client.create_task("offline", task("t", "true"))
    assert client.get_task("offline", "t").state == m.BatchTaskState.ACTIVE
    client.enable_node_scheduling("offline", node.id)
    finished_task(client, "offline", "t")


def test_a_deallocated_node_starts_again(client: BatchClient) -> None:
    make_pool(client, "deallocated")
    node = wait_for(lambda: nodes_in(client, "deallocated", "idle"), what="the node")[0]
    client.begin_deallocate_node(
        "deallocated", node.id, as_options(nodeDeallocateOption="requeue"), polling_interval=0
    ).result()
    wait_for(lambda: nodes_in(client, "deallocated", "deallocated"), what="deallocation")
    client.begin_start_node("deallocated", node.id, polling_interval=0).result()
    wait_for(lambda: nodes_in(client, "deallocated", "idle"), what="the node")


def test_autoscale_follows_the_formula_and_shows_its_last_run(client: BatchClient) -> None:
    make_pool(client, "scaled", enable_auto_scale=True, auto_scale_formula="$TargetDedicatedNodes=2;x=1")
    wait_for(lambda: len(nodes_in(client, "scaled", "idle")) == 2, what="two nodes")
    pool = client.get_pool("scaled")
    assert pool.auto_scale_run is not None
    assert pool.auto_scale_run.results == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;x=1"
    )
    assert pool.target_dedicated_nodes == 2
    with pytest.raises(ResourceExistsError):  # an autoscaled pool cannot be resized
        client.begin_resize_pool("scaled", m.BatchPoolResizeOptions(target_dedicated_nodes=1))
    client.disable_pool_auto_scale("scaled")
    assert client.get_pool("scaled").enable_auto_scale is False


def test_a_formula_is_evaluated_without_being_applied_and_its_error_has_a_place(client: BatchClient) -> None:
    make_pool(client, "evaluated", enable_auto_scale=True, auto_scale_formula="$TargetDedicatedNodes=0")
    good = client.evaluate_pool_auto_scale(
        "evaluated", m.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes=3")
    )
    assert good.error is None
    assert good.results is not None
    assert good.results.startswith("$TargetDedicatedNodes=3;")
    bad = client.evaluate_pool_auto_scale(
        "evaluated", m.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes=\n  $useless")
    )
    assert bad.error is not None
    assert bad.error.code == "AutoScalingFormulaEvaluationError"
    assert bad.error.error_values is not None
    assert "Line 2" in str(bad.error.error_values[0].value)
    assert client.get_pool("evaluated").target_dedicated_nodes == 0


def test_a_pool_without_autoscale_evaluates_nothing(client: BatchClient) -> None:
    make_pool(client, "fixed", target_dedicated_nodes=0)
    with pytest.raises(ResourceExistsError) as caught:
        client.evaluate_pool_auto_scale(
            "fixed", m.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes=3")
        )
    assert caught.value.status_code == 409


def test_enabling_autoscale_twice_at_once_is_too_often(client: BatchClient) -> None:
    make_pool(client, "often", target_dedicated_nodes=0)
    options = m.BatchPoolEnableAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes=0")
    client.enable_pool_auto_scale("often", options)
    with pytest.raises(HttpResponseError) as caught:
        client.enable_pool_auto_scale("often", options, retry_total=0)
    assert caught.value.status_code == 503
    assert code_of(caught.value) == "TooManyEnableAutoScaleRequests"


def test_supported_images_are_listed_and_filtered(client: BatchClient) -> None:
    images = list(client.list_supported_images(filter="osType eq 'linux'"))
    assert {"batch.node.ubuntu 22.04"} <= {image.node_agent_sku_id for image in images}


def test_node_users_are_remembered(client: BatchClient) -> None:
    make_pool(client, "users")
    node = wait_for(lambda: nodes_in(client, "users", "idle"), what="the node")[0]
    client.create_node_user("users", node.id, m.BatchNodeUserCreateOptions(name="eve", password=SECRET))
    with pytest.raises(ResourceExistsError):
        client.create_node_user("users", node.id, m.BatchNodeUserCreateOptions(name="eve", password=SECRET))
    client.replace_node_user("users", node.id, "eve", m.BatchNodeUserReplaceOptions(password=SECRET))
    client.delete_node_user("users", node.id, "eve")
    with pytest.raises(ResourceNotFoundError):
        client.delete_node_user("users", node.id, "eve")
    assert client.get_node_remote_login_settings("users", node.id).remote_login_port == 22
