"""The local Batch service, run for real at speed, and the simulator: the same nodes at the same time."""

import time
from array import array
from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import pytest
from azure.batch import BatchClient

from darkroom.simulate.model import Machines, Work
from darkroom.simulate.run import run
from darkroom.simulate.sealing import seal
from darkroom.simulate.traces import Trace
from pipeline.scaling import build_formula
from shared.app_settings import PoolSettings
from tests.localcloud.batch.conftest import make_job, make_pool, start_service, task

SPEEDS = (100.0, 40.0, 20.0)
"""Where they disagree at one, the next decides: there a machine that is busy elsewhere counts for less."""
END = 2760.0
TOLERANCE = 75.0
"""Seconds of service time (0.75 of ours at the first speed): the simulation's samples are 30 s apart, and processes
take time to start."""

FORMULA = build_formula(PoolSettings(max_nodes=3, scale_down_patience=8))
# A manifest takes 150 s: the first three end two minutes before the formula looks again, and the fourth goes on then.
WORK = Work(image_seconds=0.3, image_spread=0.0, startup=0.0, dispatch_takes=(0.0, 0.0), cores=1)
MACHINES = Machines(
    allocation=(30, 30), creating=(30, 30), starting=(30, 30), start_task=(0, 0), preemptions_per_hour=0.0
)
SCENARIO = Trace(
    name="scripted",
    about="Four tasks at once, and two more twenty minutes later",
    length=END,
    arrivals=array("d", [100.0] * 2000 + [1500.5] * 1000),
)

Steps = list[tuple[float, int]]


def steps(counts: Iterator[tuple[float, int]]) -> Steps:
    """When the number of nodes changed, and to what."""
    return [next(iter(group)) for _, group in groupby(counts, key=lambda entry: entry[1])]


def simulated() -> Steps:
    raw = run(SCENARIO, FORMULA, seed=1, work=WORK, machines=MACHINES, pool_age=0.0)
    return steps((sample.at, int(sample.spot)) for sample in raw.samples if sample.at <= END)


def observed(client: BatchClient, speed: float) -> Steps:
    """Add the scenario's tasks to the service when their time comes, and look at the pool all the while."""
    make_pool(
        client,
        "p",
        enable_auto_scale=True,
        auto_scale_formula=FORMULA,
        auto_scale_evaluation_interval=timedelta(minutes=5),
    )
    began = time.monotonic()
    make_job(client, "j", "p")
    waiting = seal(SCENARIO.arrivals, WORK, seed=1)

    def looks() -> Iterator[tuple[float, int]]:
        while (now := (time.monotonic() - began) * speed) <= END:
            while waiting and waiting[0].added_at <= now:
                manifest = waiting.pop(0)
                client.create_task("j", task(manifest.id, f"sleep {manifest.seconds / speed:.3f}"))
            yield now, client.get_pool("p").current_low_priority_nodes or 0
            time.sleep(0.05)

    return steps(looks())


def served(folder: Path, speed: float) -> Steps:
    """What the service does at a speed."""
    service = start_service(folder, "--speed", f"{speed:g}", "--boot", "90:90")
    try:
        with service.client() as client:
            return observed(client, speed)
    finally:
        service.stop()


def disagreement(found: Steps, expected: Steps) -> str:
    """Where two courses of the number of nodes part; empty where they do not."""
    if [count for _, count in found] != [count for _, count in expected]:
        return f"the service went through {found}, the simulation through {expected}"
    apart = [
        f"{count} nodes at {when:.0f} s, and in the simulation at {should:.0f} s"
        for (when, count), (should, _) in zip(found, expected, strict=True)
        if abs(when - should) > TOLERANCE
    ]
    return "; ".join(apart)


@pytest.mark.timeout(400)
def test_the_service_at_speed_and_the_simulator_agree_on_the_nodes_over_time(tmp_path: Path) -> None:
    """The same numbers of nodes, at the same time of the service."""
    expected = simulated()
    assert [count for _, count in expected] == [0, 3, 1, 0, 2, 1, 0]
    apart = {}
    for speed in SPEEDS:
        apart[speed] = disagreement(served(tmp_path / f"{speed:g}", speed), expected)
        if not apart[speed]:
            return
    pytest.fail(f"they disagree at every speed: {apart}")
