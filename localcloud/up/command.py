"""The command `up`: its options, its start, its table, its end."""

import argparse
import asyncio
import json
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from localcloud.errors import ServiceFailedError, StartError
from localcloud.up.cloud import LocalCloud, UpOptions
from localcloud.up.console import Console
from localcloud.up.datadir import DataDir
from localcloud.up.deployment import FASTEST, SLOWEST, Deployment, fill, fill_text, read_deployment
from localcloud.up.hostchild import HOSTS

_PROJECT = Path(__file__).parents[2]


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SLOWEST <= speed <= FASTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed ({SLOWEST:g} to {FASTEST:g})")
    return speed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `up`."""
    parser.add_argument("--root", type=Path, default=_PROJECT, help="the application's folder (this checkout)")
    parser.add_argument("--data", type=Path, help="where all state lies (ROOT/data)")
    parser.add_argument("--blob-port", type=_port, default=10000, help="storage (%(default)s; 0 picks one)")
    parser.add_argument("--functions-port", type=_port, default=7071, help="functions (%(default)s; 0 picks one)")
    parser.add_argument("--batch-port", type=_port, default=7072, help="batch (%(default)s; 0 picks one)")
    parser.add_argument(
        "--host",
        choices=HOSTS,
        default="auto",
        help="who runs the app: Core Tools' `func`, or ours (%(default)s)",
    )
    parser.add_argument("--speed", type=_speed, help="shorten Azure's minutes N times (infra/local.json's `speed`)")


async def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM: 0. What cannot start: one line on stderr, 2."""
    console = Console()
    root = arguments.root.absolute()
    try:
        deployment = read_deployment(root / "infra" / "local.json")
        data = DataDir(arguments.data or root / "data")
    except StartError as error:
        return _refuse(error)
    try:
        return await _run(
            UpOptions(
                root=root,
                data=data.path,
                blob_port=arguments.blob_port,
                functions_port=arguments.functions_port,
                batch_port=arguments.batch_port,
                host=arguments.host,
                speed=arguments.speed or deployment.speed,
            ),
            deployment,
            data,
            console,
        )
    except StartError as error:
        return _refuse(error)
    except ServiceFailedError as error:
        sys.stderr.write(f"localcloud: {error}\n")
        traceback.print_exception(error.__cause__, file=sys.stderr)
        return 1
    finally:
        data.close()


def _refuse(error: StartError) -> int:
    sys.stderr.write(f"localcloud: {error}\n")
    return 2


async def _run(options: UpOptions, deployment: Deployment, data: DataDir, console: Console) -> int:
    stop = _stop_on_signals(console)
    data.end_last_run()
    cloud = LocalCloud(options, deployment, data=data, console=console)
    try:
        started = asyncio.create_task(cloud.start())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([started, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not started.done():
            started.cancel()
            await asyncio.gather(started, return_exceptions=True)
            return 0
        await started
        cloud.on_restart = lambda: data.write_endpoints(_endpoints(cloud, deployment))
        cloud.on_restart()
        await _greet(cloud, deployment, console)
        await cloud.run(stop)
        return 0
    finally:
        await cloud.stop()
        if stop.is_set():
            console.say("stopped; the next start goes on from here")


def _stop_on_signals(console: Console) -> asyncio.Event:
    stop = asyncio.Event()

    def on_signal() -> None:
        if not stop.is_set():
            console.say("stopping")
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return stop


def _endpoints(cloud: LocalCloud, deployment: Deployment) -> dict[str, object]:
    values = cloud.values
    return {
        "blob": values["blob"],
        "connection_string": values["connection_string"],
        "functions": values["functions"],
        "functions_key": values["functions_key"],
        "master_key": values["master_key"],
        "batch": values.get("batch"),
        "batch_account": values.get("batch_account"),
        "batch_key": values.get("batch_key"),
        "events": values.get("events"),
        "topics": {
            topic: {"endpoint": values[f"topic_{topic}"], "key": values[f"topic_key_{topic}"]}
            for topic in deployment.topics
        },
        "settings": cloud.settings,
        "links": fill(deployment.links, values, where="links"),
        "pids": cloud.pids(),
    }


async def _greet(cloud: LocalCloud, deployment: Deployment, console: Console) -> None:
    values = cloud.values
    rows = [("storage", f"{values['blob']}  (Azurite: the well-known account and key)")]
    rows.append(("functions", f"{values['functions']}  {await _functions(cloud)}"))
    if cloud.batch is not None:
        rows.append(("batch", f"{cloud.batch.url}  (account {cloud.batch.account})"))
    rows += [(f"topic {topic}", values[f"topic_{topic}"]) for topic in deployment.topics]
    rows += list(fill(deployment.links, values, where="links").items())
    if cloud.speed != 1:
        rows.append(("clock", f"Azure's minutes pass {cloud.speed:g} times faster (--speed 1: as on Azure)"))
    rows.append(("keys", f"{values['data']}/endpoints.json"))
    rows.append(("logs", f"{values['data']}/logs"))
    console.show("The local cloud is up.")
    console.table(rows)
    for line in deployment.welcome:
        console.show(fill_text(line, values, where="welcome"))
    console.show("Ctrl-C stops everything; the next start goes on where this one stopped.")


async def _functions(cloud: LocalCloud) -> str:
    """The names of the functions that the host serves, or why it serves none."""
    if cloud.func is not None:
        return "(func start; timers at their real speed)"
    headers = {"x-functions-key": cloud.values["master_key"]}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(cloud.values["functions"] + "/admin/host/status") as response:
            status = json.loads(await response.text())
        async with http.get(cloud.values["functions"] + "/admin/functions") as response:
            functions = json.loads(await response.text())
    if status["state"] != "Running":
        return f"THE APP DOES NOT LOAD, so no function runs: {'; '.join(status['errors'])}"
    return f"({summary(functions)})"


def summary(functions: Sequence[Mapping[str, Any]]) -> str:
    """`ingest, dispatch and 12 over HTTP`: what runs by itself by name, the rest by number."""
    kinds = {function["name"]: function["config"]["bindings"][0]["type"] for function in functions}
    own = ", ".join(name for name, kind in kinds.items() if kind != "httpTrigger")
    http = sum(kind == "httpTrigger" for kind in kinds.values())
    return " and ".join(filter(None, [own, f"{http} over HTTP" if http else ""])) or "no function"
