"""The life of jobs through the unmodified SDK: dependencies, exit conditions, preparation, disabling, schedules."""

from datetime import timedelta

import pytest
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from tests.localcloud.batch.conftest import (
    as_options,
    code_of,
    file_text,
    finished_task,
    machine,
    make_job,
    make_pool,
    nodes_in,
    task,
    wait_for,
)


@pytest.fixture(scope="module", autouse=True)
def pool(client: BatchClient) -> str:
    make_pool(client, "jobs", task_slots_per_node=4)
    return "jobs"


def job_state(client: BatchClient, job_id: str, state: str) -> m.BatchJob:
    def reached() -> m.BatchJob | None:
        found = client.get_job(job_id)
        return found if found.state == state else None

    return wait_for(reached, what=f"job {job_id} {state}")


def test_a_job_comes_back_as_it_was_made_and_can_be_changed(client: BatchClient) -> None:
    make_job(
        client,
        "made",
        "jobs",
        priority=5,
        constraints=m.BatchJobConstraints(max_task_retry_count=2, max_wall_clock_time=timedelta(hours=1)),
        common_environment_settings=[m.EnvironmentSetting(name="ALL", value="jobs tasks")],
        metadata=[m.BatchMetadataItem(name="k", value="v")],
    )
    client.update_job("made", m.BatchJobUpdateOptions(priority=9))
    job = client.get_job("made")
    assert (job.priority, job.state) == (9, m.BatchJobState.ACTIVE)
    assert job.constraints is not None
    assert job.constraints.max_wall_clock_time == timedelta(hours=1)
    client.create_task("made", task("env", "/bin/sh -c 'echo $ALL'"))
    assert finished_task(client, "made", "env").constraints.max_task_retry_count == 2  # type: ignore[union-attr]
    assert file_text(client, "made", "env", "stdout.txt") == "jobs tasks\n"


def test_a_failing_task_is_tried_as_often_as_its_constraints_say(client: BatchClient) -> None:
    make_job(client, "retried", "jobs")
    constraints = m.BatchTaskConstraints(max_task_retry_count=2)
    client.create_task(
        "retried", task("t", "/bin/sh -c 'echo x >> tries; test $(wc -l < tries) = 3'", constraints=constraints)
    )
    done = finished_task(client, "retried", "t")
    assert done.execution_info is not None
    assert (done.execution_info.retry_count, done.execution_info.exit_code) == (2, 0)


def test_a_task_that_takes_too_long_is_ended(client: BatchClient) -> None:
    make_job(client, "slow", "jobs")
    constraints = m.BatchTaskConstraints(max_wall_clock_time=timedelta(seconds=5))
    client.create_task("slow", task("t", "sleep 60", constraints=constraints))
    done = finished_task(client, "slow", "t")
    assert done.execution_info is not None
    assert done.execution_info.result == m.BatchTaskExecutionResult.FAILURE


def test_tasks_wait_for_those_they_depend_on(client: BatchClient) -> None:
    make_job(client, "ordered", "jobs", uses_task_dependencies=True)
    ids = m.BatchTaskDependencies(task_ids=["1"])
    span = m.BatchTaskDependencies(task_id_ranges=[m.BatchTaskIdRange(start=1, end=2)])
    client.create_tasks("ordered", [task("3", "true", depends_on=span), task("2", "true", depends_on=ids)])
    assert client.get_task("ordered", "3").state == m.BatchTaskState.ACTIVE
    client.create_task("ordered", task("1", "true"))
    ends = [finished_task(client, "ordered", str(n)).execution_info for n in (1, 2, 3)]
    times = [end.end_time for end in ends if end is not None and end.end_time is not None]
    assert times == sorted(times)
    assert len(times) == 3


def test_a_failed_dependency_blocks_unless_the_exit_condition_satisfies(client: BatchClient) -> None:
    make_job(client, "blocked", "jobs", uses_task_dependencies=True)
    forgiving = m.ExitConditions(
        exit_codes=[m.ExitCodeMapping(code=7, exit_options=m.ExitOptions(dependency_action="satisfy"))]
    )
    client.create_tasks(
        "blocked",
        [
            task("bad", "false"),
            task("forgiven", "/bin/sh -c 'exit 7'", exit_conditions=forgiving),
            task("after-bad", "true", depends_on=m.BatchTaskDependencies(task_ids=["bad"])),
            task("after-forgiven", "true", depends_on=m.BatchTaskDependencies(task_ids=["forgiven"])),
        ],
    )
    finished_task(client, "blocked", "after-forgiven")
    finished_task(client, "blocked", "bad")
    assert client.get_task("blocked", "after-bad").state == m.BatchTaskState.ACTIVE


def test_dependencies_need_a_job_that_uses_them(client: BatchClient) -> None:
    make_job(client, "plain", "jobs")
    with pytest.raises(HttpResponseError) as caught:
        client.create_task("plain", task("t", "true", depends_on=m.BatchTaskDependencies(task_ids=["x"])))
    assert code_of(caught.value) == "TaskDependenciesNotSpecifiedOnJob"


def test_a_failing_task_can_end_its_job(client: BatchClient) -> None:
    make_job(client, "fragile", "jobs", task_failure_mode="performexitoptionsjobaction")
    conditions = m.ExitConditions(default=m.ExitOptions(job_action="terminate"))
    client.create_task("fragile", task("t", "false", exit_conditions=conditions))
    job = job_state(client, "fragile", "completed")
    assert job.execution_info is not None
    assert job.execution_info.termination_reason == "TaskFailed"


def test_a_job_can_end_with_its_last_task(client: BatchClient) -> None:
    make_job(client, "closing", "jobs")
    client.create_tasks("closing", [task(str(n), "true") for n in range(3)])
    client.update_job("closing", m.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
    job = job_state(client, "closing", "completed")
    assert job.execution_info is not None
    assert job.execution_info.termination_reason == "AllTasksComplete"
    with pytest.raises(ResourceExistsError) as caught:
        client.create_task("closing", task("late", "true"))
    assert code_of(caught.value) == "JobCompleted"


def test_disabling_requeues_and_enabling_runs_again(client: BatchClient) -> None:
    make_job(client, "paused", "jobs")
    client.create_task("paused", task("t", "/bin/sh -c 'test -e once || { touch once; sleep 60; }'"))
    wait_for(lambda: client.get_task("paused", "t").state == "running" or None, what="the task")
    wait_for(lambda: "wd/once" in {f.name for f in client.list_task_files("paused", "t", recursive=True)})
    options = m.BatchJobDisableOptions(disable_tasks=m.DisableBatchJobOption.REQUEUE)
    client.begin_disable_job("paused", options, polling_interval=0).result()
    assert client.get_job("paused").state == m.BatchJobState.DISABLED
    assert client.get_task("paused", "t").state == m.BatchTaskState.ACTIVE
    client.begin_enable_job("paused", polling_interval=0).result()
    done = finished_task(client, "paused", "t")
    assert done.execution_info is not None
    assert (done.execution_info.exit_code, done.execution_info.requeue_count) == (0, 1)


def test_terminating_ends_what_runs_and_leaves_what_waits(client: BatchClient) -> None:
    make_job(client, "ended", "jobs", max_parallel_tasks=1)
    client.create_tasks("ended", [task("a", "sleep 60"), task("b", "sleep 60")])
    wait_for(lambda: client.get_job_task_counts("ended").task_counts.running == 1 or None, what="one running task")
    client.begin_terminate_job("ended", as_options(terminateReason="Enough"), polling_interval=0).result()
    job = client.get_job("ended")
    assert job.execution_info is not None
    assert (job.state, job.execution_info.termination_reason) == ("completed", "Enough")
    counts = client.get_job_task_counts("ended").task_counts
    assert (counts.active, counts.running, counts.completed, counts.failed) == (1, 0, 1, 1)


def test_a_deleted_job_is_gone_with_its_tasks(client: BatchClient) -> None:
    make_job(client, "deleted", "jobs")
    client.create_task("deleted", task("t", "sleep 60"))
    client.begin_delete_job("deleted", polling_interval=0).result()
    with pytest.raises(ResourceNotFoundError):
        client.get_task("deleted", "t")
    make_job(client, "deleted", "jobs")
    assert not list(client.list_tasks("deleted"))


def test_a_failed_task_is_reactivated_and_a_good_one_is_not(client: BatchClient) -> None:
    make_job(client, "again", "jobs")
    client.create_tasks(
        "again", [task("good", "true"), task("bad", "/bin/sh -c 'test -e flag || { touch flag; exit 1; }'")]
    )
    finished_task(client, "again", "good")
    finished_task(client, "again", "bad")
    with pytest.raises(ResourceExistsError) as caught:
        client.reactivate_task("again", "good")
    assert code_of(caught.value) == "TaskSucceeded"
    client.reactivate_task("again", "bad")
    done = finished_task(client, "again", "bad")
    assert done.execution_info is not None
    assert done.execution_info.exit_code == 0


def test_preparation_runs_once_a_node_before_tasks_and_release_after_them(client: BatchClient) -> None:
    preparation = m.BatchJobPreparationTask(command_line="/bin/sh -c 'echo ready > $AZ_BATCH_NODE_SHARED_DIR/prepared'")
    release = m.BatchJobReleaseTask(command_line="/bin/sh -c 'rm $AZ_BATCH_NODE_SHARED_DIR/prepared; echo gone'")
    make_job(client, "prepared", "jobs", job_preparation_task=preparation, job_release_task=release)
    client.create_tasks(
        "prepared", [task(str(n), "/bin/sh -c 'cat $AZ_BATCH_NODE_SHARED_DIR/prepared'") for n in range(6)]
    )
    for n in range(6):
        finished_task(client, "prepared", str(n))
        assert file_text(client, "prepared", str(n), "stdout.txt") == "ready\n"
    client.begin_terminate_job("prepared", as_options(terminateReason="Enough"), polling_interval=0).result()
    statuses = list(client.list_job_preparation_and_release_task_status("prepared"))
    assert len(statuses) == 1
    assert statuses[0].job_preparation_task_execution_info is not None
    assert statuses[0].job_preparation_task_execution_info.exit_code == 0
    assert statuses[0].job_release_task_execution_info is not None
    assert statuses[0].job_release_task_execution_info.state == "completed"
    assert statuses[0].job_release_task_execution_info.exit_code == 0


def test_a_failing_preparation_keeps_tasks_off_the_node(client: BatchClient) -> None:
    make_job(client, "unprepared", "jobs", job_preparation_task=m.BatchJobPreparationTask(command_line="false"))
    client.create_task("unprepared", task("t", "true"))

    def failed() -> bool:
        statuses = list(client.list_job_preparation_and_release_task_status("unprepared"))
        infos = [s.job_preparation_task_execution_info for s in statuses]
        return any(i is not None and i.state == "completed" and i.exit_code == 1 for i in infos)

    wait_for(failed, what="the preparation to fail")
    assert client.get_task("unprepared", "t").state == m.BatchTaskState.ACTIVE


def test_a_job_manager_task_adds_tasks_and_ends_the_job(client: BatchClient) -> None:
    manager = m.BatchJobManagerTask(id="manager", command_line="/bin/sh -c 'echo $AZ_BATCH_JOB_ID'")
    make_job(client, "managed", "jobs", job_manager_task=manager)
    job = job_state(client, "managed", "completed")
    assert job.execution_info is not None
    assert job.execution_info.termination_reason == "JMComplete"
    assert file_text(client, "managed", "manager", "stdout.txt") == "managed\n"


def test_a_job_may_have_a_pool_of_its_own(client: BatchClient) -> None:
    specification = m.BatchPoolSpecification(
        vm_size="standard_d2s_v3", virtual_machine_configuration=machine(), target_dedicated_nodes=1
    )
    auto = m.BatchAutoPoolSpecification(auto_pool_id_prefix="own-", pool_lifetime_option="job", pool=specification)
    client.create_job(m.BatchJobCreateOptions(id="auto", pool_info=m.BatchPoolInfo(auto_pool_specification=auto)))
    client.create_task("auto", task("t", "true"))
    finished_task(client, "auto", "t")
    job = client.get_job("auto")
    assert job.execution_info is not None
    pool_id = job.execution_info.pool_id
    assert pool_id is not None
    assert pool_id.startswith("own-")
    client.begin_delete_job("auto", polling_interval=0).result()
    wait_for(lambda: pool_id not in {p.id for p in client.list_pools()}, what="the end of the pool")


def test_required_slots_are_honoured(client: BatchClient) -> None:
    make_job(client, "wide", "jobs")
    client.create_tasks("wide", [task(str(n), "sleep 30", required_slots=3) for n in range(2)])
    wait_for(lambda: client.get_job_task_counts("wide").task_slot_counts.running == 3 or None, what="the first task")
    assert len(nodes_in(client, "jobs", "running")) == 1
    assert client.get_job_task_counts("wide").task_slot_counts.active == 3
    client.begin_delete_job("wide", polling_interval=0).result()


def test_a_multi_instance_task_is_refused_clearly(client: BatchClient) -> None:
    make_job(client, "mpi", "jobs")
    settings = m.MultiInstanceSettings(coordination_command_line="true", number_of_instances=2)
    with pytest.raises(HttpResponseError) as caught:
        client.create_task("mpi", task("t", "true", multi_instance_settings=settings))
    assert caught.value.status_code == 400
    assert "Multi-instance" in str(caught.value)


def test_a_schedule_makes_a_job_after_the_other(client: BatchClient) -> None:
    specification = m.BatchJobSpecification(
        pool_info=m.BatchPoolInfo(pool_id="jobs"),
        job_manager_task=m.BatchJobManagerTask(id="m", command_line="true", run_exclusive=False),
    )
    client.create_job_schedule(
        m.BatchJobScheduleCreateOptions(
            id="often",
            schedule=m.BatchJobScheduleConfiguration(recurrence_interval=timedelta(minutes=1)),
            job_specification=specification,
        )
    )
    wait_for(lambda: len(list(client.list_jobs_from_schedule("often"))) >= 2 or None, what="two jobs")
    assert "often:job-1" in {job.id for job in client.list_jobs_from_schedule("often")}
    client.disable_job_schedule("often")
    assert client.get_job_schedule("often").state == m.BatchJobScheduleState.DISABLED
    client.enable_job_schedule("often")
    client.begin_terminate_job_schedule("often", polling_interval=0).result()
    assert client.get_job_schedule("often").state == m.BatchJobScheduleState.COMPLETED
    client.begin_delete_job_schedule("often", polling_interval=0).result()
    with pytest.raises(ResourceNotFoundError):
        client.get_job_schedule("often")
    assert not [j for j in client.list_jobs() if j.id.startswith("often:")]


def test_a_job_and_a_schedule_cannot_share_an_id(client: BatchClient) -> None:
    make_job(client, "shared-id", "jobs")
    with pytest.raises(ResourceExistsError) as caught:
        client.create_job_schedule(
            m.BatchJobScheduleCreateOptions(
                id="shared-id",
                schedule=m.BatchJobScheduleConfiguration(),
                job_specification=m.BatchJobSpecification(pool_info=m.BatchPoolInfo(pool_id="jobs")),
            )
        )
    assert code_of(caught.value) == "JobWithSameIdExists"
