"""The hand on the pool, and what tasks printed, against the real local Batch service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from darkroom.connection import connect
from darkroom.failure import ExitCode
from darkroom.pool.recreation import recreate_pool
from darkroom.profile import Profile
from tests.darkroom.places import until
from tests.darkroom.system import System

pytestmark = pytest.mark.azurite


def pool(system: System, *arguments: str) -> dict[str, Any]:
    ran = system.cli("pool", *arguments, "--json", environ=system.environ())
    assert ran.code == ExitCode.OK, ran.err
    told: dict[str, Any] = json.loads(ran.out)
    return told


def test_scale_holds_the_pool_at_a_size_and_resume_gives_it_back_to_the_formula(system: System) -> None:
    system.make_pool(formula="$TargetLowPriorityNodes = 0;")
    held = pool(system, "scale", "2")
    assert (held["autoscale"], held["target_low_priority"]) == (False, 2)
    resumed = pool(system, "resume")
    assert resumed["autoscale"] is True
    assert "$PendingTasks" in resumed["formula"]


def test_pause_wants_no_node(system: System) -> None:
    system.make_pool(nodes=1)
    until(lambda: system.nodes_in("idle") == 1)
    assert pool(system, "pause")["target_low_priority"] == 0
    until(lambda: not list(system.client.list_nodes(system.pool)))


def test_recreate_makes_the_pool_alike(system: System) -> None:
    system.make_pool(nodes=1, start_task="/bin/true")
    before = system.client.get_pool(system.pool)
    made = pool(system, "recreate", "--yes")
    after = system.client.get_pool(system.pool)
    assert after.creation_time != before.creation_time
    assert (made["target_low_priority"], made["start_task"]) == (1, "/bin/true")


def test_a_size_above_the_cap_is_remarked_on(system: System) -> None:
    system.make_pool(nodes=0)
    ran = system.cli("pool", "scale", "3", environ=system.environ() | {"POOL_MAX_NODES": "2"})
    assert ran.code == ExitCode.OK
    assert "more than POOL_MAX_NODES (2)" in ran.err
    system.cli("pool", "pause", environ=system.environ())


async def test_recreate_is_content_where_dispatch_made_the_pool_first(system: System) -> None:
    """Dispatch makes a missing pool every minute, and may be quicker than the person's command."""
    system.make_pool(nodes=0)

    class Overtaken:
        """The Batch client, and a dispatch that makes the pool between its going and its creation."""

        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        async def create_pool(self, options: Any) -> None:
            await self._client.create_pool(options)
            await self._client.create_pool(options)

    profile = Profile(name="test", source="test", values=system.environ())
    async with connect(profile) as connection:
        connection._batch = Overtaken(await connection.batch())  # type: ignore[assignment]  # the same client, overtaken
        await recreate_pool(connection)
    assert system.client.get_pool(system.pool).state == "active"


def test_a_missing_pool_is_exit_6_and_says_what_makes_it(system: System) -> None:
    ran = system.cli("pool", "show", environ=system.environ())
    assert ran.code == ExitCode.NOT_FOUND
    assert "BATCH_POOL_CREATE" in ran.err


def test_logs_show_what_a_task_printed_and_how_it_ended(system: System) -> None:
    system.make_pool(nodes=1)
    (manifest,) = system.give_work("/bin/sh -c 'echo out; echo [bold]err >&2; exit 4'")
    system.until_tasks(failed=1)
    told = json.loads(system.cli("logs", manifest, "--json", environ=system.environ()).out)
    assert told["files"]["stdout.txt"] == "out\n"
    assert told["exit_code"] == 4
    assert "[bold]err" in system.cli("logs", manifest, environ=system.environ()).out


def test_logs_of_a_task_that_waits_say_that_there_are_none_yet(system: System) -> None:
    system.make_pool(nodes=0)
    (manifest,) = system.give_work("true")
    ran = system.cli("logs", manifest, environ=system.environ())
    assert ran.code == ExitCode.OK
    assert "has not started" in ran.err


def test_logs_of_nothing_known_are_exit_6(system: System) -> None:
    assert system.cli("logs", "no-such-manifest", environ=system.environ()).code == ExitCode.NOT_FOUND


def test_clean_jobs_takes_done_jobs_only_and_everything_takes_all(system: System) -> None:
    system.make_pool(nodes=0)
    system.give_work("true")
    told = json.loads(system.cli("clean", "jobs", "--yes", "--json", environ=system.environ()).out)
    assert told["removed"] == {}
    system.cli("clean", "everything", "--yes", environ=system.environ())
    until(lambda: system.jobs == [])
    assert system.place.names("manifests") == []


def test_doctor_is_content_with_a_whole_system_and_not_with_a_missing_pool(system: System) -> None:
    ran = system.cli("doctor", "--json", environ=system.environ())
    assert ran.code == ExitCode.NOT_OK
    wrong = [check["about"] for check in json.loads(ran.out)["checks"] if check["verdict"] == "wrong"]
    assert wrong == [f"Batch, pool {system.pool}"]
    system.make_pool(nodes=0)
    assert system.cli("doctor", environ=system.environ()).code == ExitCode.OK
