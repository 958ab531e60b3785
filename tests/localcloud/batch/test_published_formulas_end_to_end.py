"""Every published formula that we know, through `evaluateautoscale` of the running service."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.batch import models as m

from tests.localcloud.batch.conftest import LocalBatch, make_job, make_pool, start_service, task, wait_for

FORMULAS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "autoscale_formulas.jsonl").read_text().splitlines()
]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchClient]:
    """A pool with tasks and more than an hour of samples behind it; service time runs 3,600 times faster."""
    local: LocalBatch = start_service(tmp_path_factory.mktemp("sampled"), "--speed", "3600", "--boot", "1:2")
    with local.client() as client:
        make_pool(client, "p", enable_auto_scale=True, auto_scale_formula="$TargetDedicatedNodes=1")
        make_job(client, "j", "p")
        client.create_tasks("j", [task(f"t{n}", "sleep 300") for n in range(5)])
        wait_for(lambda: client.get_job_task_counts("j").task_counts.running == 1, what="a running task")
        probe = m.BatchPoolEvaluateAutoScaleOptions(
            auto_scale_formula="$TargetDedicatedNodes=$CPUPercent.GetSamplePercent(2 * TimeInterval_Hour) > 95 ? 1 : 0"
        )
        wait_for(
            lambda: "Nodes=1" in (client.evaluate_pool_auto_scale("p", probe).results or ""),
            what="two hours of samples",
        )
        yield client
    local.stop()


@pytest.mark.parametrize("case", FORMULAS, ids=[f"{n}-{case['source'][:50]}" for n, case in enumerate(FORMULAS)])
def test_a_published_formula_evaluates_or_fails_as_it_is_known_to(sampled: BatchClient, case: dict[str, str]) -> None:
    found = sampled.evaluate_pool_auto_scale(
        "p", m.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=case["formula"])
    )
    if case.get("expect") == "error":
        assert found.error is not None
        assert found.error.code == "AutoScalingFormulaEvaluationError"
    else:
        assert found.error is None, found.error
        assert found.results is not None
        assert found.results.startswith("$TargetDedicatedNodes=")
