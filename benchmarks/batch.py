"""`python -m benchmarks.batch`: what the local Batch service costs. The figures are in `docs/local-batch.md`.

- overhead: 500 tasks of `true` on one node with 4 slots, against a plain 4-wide loop that spawns the same processes,
  round by round side by side; the ratio counts, not the seconds. A task has two directories and two files, the plain
  loop has none: on a busy disk that is what is measured. BENCHMARK_FOLDER=/dev/shm takes the disk out.
- add: CPU of the service for 5,000 tasks that are added through the SDK.
- idle: CPU of a service with a pool, a node and an autoscale formula, at `--speed 60`.
- many: 100,000 tasks in one job: adding, counting, filtering, listing, memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from azure.batch import BatchClient
from azure.batch import models as m
from azure.core.credentials import AzureNamedKeyCredential

ROOT = Path(__file__).parents[1]
SLOTS = 4
FOLDER = os.environ.get("BENCHMARK_FOLDER")  # where the services' directories are made; None: the system's place


@contextmanager
def service(*options: str) -> Iterator[tuple[psutil.Process, BatchClient]]:
    """A service of its own in a directory that goes away."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        command = [sys.executable, "-m", "localcloud.batch", "--data", folder, "--boot", "0:0", *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            if process.stdout is None or not process.stdout.readline().startswith("ready"):
                raise RuntimeError("the service did not start")
            found = json.loads((Path(folder) / "batch-endpoint.json").read_text())
            credential = AzureNamedKeyCredential(found["account"], found["key"])
            with BatchClient(found["endpoint"], credential) as client:
                yield psutil.Process(process.pid), client
        finally:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def make_pool(client: BatchClient, **options: Any) -> None:
    image = m.BatchVmImageReference(publisher="canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts")
    machine = m.VirtualMachineConfiguration(image_reference=image, node_agent_sku_id="batch.node.ubuntu 22.04")
    client.create_pool(
        m.BatchPoolCreateOptions(
            id="p",
            vm_size="standard_d2s_v3",
            virtual_machine_configuration=machine,
            task_slots_per_node=SLOTS,
            **options,
        )
    )


def make_job(client: BatchClient, job_id: str, count: int, *, disabled: bool = False, command: str = "true") -> None:
    client.create_job(m.BatchJobCreateOptions(id=job_id, pool_info=m.BatchPoolInfo(pool_id="p")))
    if disabled:
        options = m.BatchJobDisableOptions(disable_tasks="wait")
        client.begin_disable_job(job_id, options, polling_interval=0).result()
    client.create_tasks(job_id, [m.BatchTaskCreateOptions(id=f"t{n:06}", command_line=command) for n in range(count)])


def wait_until(probe: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def spawn_plainly(count: int) -> float:
    """Seconds that a plain loop, `SLOTS` wide, takes to spawn `true` so often."""
    began = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(lambda _: subprocess.run(["true"], check=True), range(count)))
    return time.perf_counter() - began


def run_tasks(client: BatchClient, job_id: str, count: int) -> float:
    """Seconds from the first start to the last end of so many tasks of `true`."""
    make_job(client, job_id, count, disabled=True)
    client.begin_enable_job(job_id, polling_interval=0).result()
    wait_until(lambda: client.get_job_task_counts(job_id).task_counts.succeeded == count)
    infos = [t.execution_info for t in client.list_tasks(job_id, select=["executionInfo"])]
    starts = [i.start_time for i in infos if i is not None and i.start_time is not None]
    ends = [i.end_time for i in infos if i is not None and i.end_time is not None]
    return (max(ends) - min(starts)).total_seconds()


def overhead(rounds: int, count: int) -> None:
    with service() as (_, client):
        make_pool(client, target_dedicated_nodes=1)
        run_tasks(client, "warm", 50)
        pairs = [(spawn_plainly(count), run_tasks(client, f"j{n}", count)) for n in range(rounds)]
    for plain, ours in pairs:
        print(f"overhead: {count} x true: plain loop {plain:.2f} s, service {ours:.2f} s, ratio {ours / plain:.2f}")
    print(f"overhead: median ratio {statistics.median(ours / plain for plain, ours in pairs):.2f}")


def add(count: int) -> None:
    with service() as (process, client):
        before = cpu(process)
        began = time.perf_counter()
        make_job(client, "j", count)
        print(
            f"add: {count} tasks through the SDK: {cpu(process) - before:.2f} s of CPU in the service, "
            f"{time.perf_counter() - began:.1f} s in all"
        )


def idle(seconds: float) -> None:
    with service("--speed", "60") as (process, client):
        make_pool(
            client, enable_auto_scale=True, auto_scale_formula="$TargetDedicatedNodes=avg($PendingTasks.GetSample(1))"
        )
        time.sleep(2)
        before = cpu(process) + sum(cpu(child) for child in process.children(recursive=True))
        time.sleep(seconds)
        after = cpu(process) + sum(cpu(child) for child in process.children(recursive=True))
        print(f"idle: {100 * (after - before) / seconds:.2f}% of a core over {seconds:g} s at --speed 60")


def many(count: int) -> None:
    with service() as (process, client):
        before = cpu(process)
        make_job(client, "j", count)
        print(f"many: {count} tasks added, {cpu(process) - before:.1f} s of CPU, {process.memory_info().rss >> 20} MB")
        for what, probe in (
            ("counts", lambda: [client.get_job_task_counts("j")]),
            ("filter that matches none", lambda: list(client.list_tasks("j", filter="state eq 'completed'"))),
            ("list of ids", lambda: list(client.list_tasks("j", select=["id"]))),
            ("list in full", lambda: list(client.list_tasks("j"))),
        ):
            before, began = cpu(process), time.perf_counter()
            found = probe()
            print(
                f"many: {what}: {len(found)} found, {cpu(process) - before:.2f} s of CPU in the service, "
                f"{time.perf_counter() - began:.1f} s in all"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["overhead", "add", "idle", "many"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=500)
    arguments = parser.parse_args()
    for what in arguments.what:
        match what:
            case "overhead":
                overhead(arguments.rounds, arguments.tasks)
            case "add":
                add(5_000)
            case "idle":
                idle(20)
            case "many":
                many(100_000)
            case _:
                parser.error(f"unknown: {what}")


if __name__ == "__main__":
    main()
