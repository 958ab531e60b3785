"""The command line of the local Batch service."""

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from localcloud.batch.clock import Clock
from localcloud.batch.core import Account, NodeTimes, Quotas, Refused
from localcloud.batch.routes.admin import order
from localcloud.batch.routes.application import Front
from localcloud.batch.runner.runner import Site
from localcloud.batch.runner.transfers import Transfers
from localcloud.batch.service import Service
from localcloud.batch.store.restore import remembered_time, restore
from localcloud.batch.store.sqlite import SqliteStore, StoreError
from localcloud.batch.wire.reader import Reader

AZURITE_ACCOUNT = "devstoreaccount1"
# Azurite's well-known key: published by Microsoft, secret to nobody.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEFAULT_ACCOUNT = "localbatch"
ENDPOINT_FILE = "batch-endpoint.json"
_LOG = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m localcloud batch`."""
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 (default): a free one")
    parser.add_argument("--data", type=Path, required=True, help="directory for state and for the nodes' files")
    parser.add_argument(
        "--account", action="append", default=[], metavar="NAME", help=f"account (repeatable; {DEFAULT_ACCOUNT})"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="BASE64",
        help="key of the account at the same place; else that of the last start, else random",
    )
    parser.add_argument("--speed", type=float, default=1.0, help="service time runs this many times faster (default 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of what is drawn: boot times, preemptions (default 0)"
    )
    parser.add_argument(
        "--node-env", action="append", default=[], metavar="KEY=VALUE", help="environment of every task (repeatable)"
    )
    parser.add_argument(
        "--boot", default="2:6", metavar="LOW:HIGH", help="seconds of service time until a node is ready (default 2:6)"
    )
    parser.add_argument(
        "--preemptions-per-hour", type=float, default=0.0, help="per low-priority node and hour of service time (0)"
    )
    parser.add_argument(
        "--restore", metavar="LOW:HIGH", help="seconds of service time until a preempted node has a VM again (never)"
    )
    parser.add_argument("--job-quota", type=int, default=Quotas().active_jobs, help="active jobs and schedules")
    parser.add_argument("--pool-quota", type=int, default=Quotas().pools)
    parser.add_argument("--core-quota", type=int, default=Quotas().dedicated_cores, help="dedicated cores")
    parser.add_argument("--low-priority-core-quota", type=int, default=Quotas().low_priority_cores)
    parser.add_argument(
        "--storage-key", action="append", default=[], metavar="ACCOUNT=BASE64", help="storage keys besides Azurite's"
    )
    parser.add_argument("--auto-storage", metavar="URL", help="blob endpoint of the auto-storage account")
    parser.add_argument(
        "--misbehave",
        action="append",
        default=[],
        metavar="KIND=JSON",
        help="ordered misbehaviour from the start, as POST /_local/KIND would (first account; see docs/local-batch.md)",
    )
    parser.add_argument("--grace", type=float, default=5.0, help="seconds between SIGTERM and SIGKILL (default 5)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The command line, read."""

    port: int
    data: Path
    accounts: tuple[tuple[str, str], ...]
    speed: float
    seed: int
    image: dict[str, str]
    nodes: NodeTimes
    quotas: Quotas
    storage_keys: dict[str, str]
    auto_storage: str | None
    grace: float
    misbehaviour: tuple[tuple[str, str], ...]


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Raises ValueError that names the option."""
    names = arguments.account or [DEFAULT_ACCOUNT]
    if len(arguments.key) > len(names):
        raise ValueError(f"--key is given {len(arguments.key)} times for {len(names)} accounts")
    known = _known_keys(arguments.data / ENDPOINT_FILE)
    keys = [*arguments.key, *(known.get(name) or _random_key() for name in names[len(arguments.key) :])]
    for key in keys:
        _check_key(key)
    return Settings(
        port=arguments.port,
        data=arguments.data.resolve(),
        accounts=tuple(zip(names, keys, strict=True)),
        speed=arguments.speed,
        seed=arguments.seed,
        image=dict(_pair("--node-env", text) for text in arguments.node_env),
        nodes=_node_times(arguments),
        quotas=Quotas(
            active_jobs=arguments.job_quota,
            pools=arguments.pool_quota,
            dedicated_cores=arguments.core_quota,
            low_priority_cores=arguments.low_priority_core_quota,
        ),
        storage_keys={AZURITE_ACCOUNT: AZURITE_KEY, **dict(_pair("--storage-key", t) for t in arguments.storage_key)},
        auto_storage=arguments.auto_storage,
        grace=arguments.grace,
        misbehaviour=tuple(_pair("--misbehave", text) for text in arguments.misbehave),
    )


def _known_keys(path: Path) -> dict[str, str]:
    """The keys of an earlier start with the same data: clients keep working after a restart."""
    try:
        return dict(json.loads(path.read_text())["accounts"])
    except FileNotFoundError:
        return {}


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _check_key(key: str) -> None:
    try:
        base64.b64decode(key, validate=True)
    except ValueError as error:
        raise ValueError("--key must be base64") from error


def _pair(option: str, text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise ValueError(f"{option} {text!r}: expected NAME=VALUE")
    return name, value


def _range(option: str, text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        found = (float(low), float(high or low))
    except ValueError as error:
        raise ValueError(f"{option} {text!r}: expected LOW:HIGH in seconds") from error
    if not 0 <= found[0] <= found[1]:
        raise ValueError(f"{option} {text!r}: expected 0 <= LOW <= HIGH")
    return found


def _node_times(arguments: argparse.Namespace) -> NodeTimes:
    """The boot time is spread over its three phases."""
    low, high = _range("--boot", arguments.boot)
    third = (low / 3, high / 3)
    return NodeTimes(
        allocation=third,
        creating=third,
        starting=third,
        restarting=third,
        preemptions_per_hour=arguments.preemptions_per_hour,
        restored=None if arguments.restore is None else _range("--restore", arguments.restore),
    )


async def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    try:
        settings = read_settings(arguments)
        return await _serve(settings)
    except (ValueError, StoreError) as error:
        _LOG.error("%s", error)
        return 2
    except Refused as refused:
        _LOG.error("--misbehave: %s %s", refused.code, refused.values)
        return 2


async def _serve(settings: Settings) -> int:
    async with running(settings) as (endpoint, services):
        service = next(iter(services.values()))
        for kind, text in settings.misbehaviour:
            order(service, kind, Reader(json.loads(text)))
        _write_endpoint(settings.data / ENDPOINT_FILE, endpoint, services)
        print(f"ready {endpoint} account={service.name}", flush=True)  # noqa: T201 - the line that starters wait for
        await _until_signalled()
    return 0


def _write_endpoint(path: Path, endpoint: str, services: dict[str, Service]) -> None:
    """Readable by this user only: whoever has the key can run command lines."""
    first = next(iter(services.values()))
    document = {
        "endpoint": endpoint,
        "account": first.name,
        "key": first.key,
        "accounts": {service.name: service.key for service in services.values()},
    }
    temporary = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    temporary.replace(path)


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[str, dict[str, Service]]]:
    """The service, listening. Gives (endpoint, services by account name)."""
    settings.data.mkdir(parents=True, exist_ok=True)
    listener = socket.create_server(("127.0.0.1", settings.port))
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    transfers = Transfers(keys=settings.storage_keys, auto_storage=settings.auto_storage)
    services = {name: _service(settings, name, key, endpoint, transfers) for name, key in settings.accounts}
    runner = web.AppRunner(Front(services, base=endpoint).application(), access_log=None)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        for service in services.values():
            service.start()
        yield endpoint, services
    finally:
        await runner.cleanup()
        for service in services.values():
            await service.close()
        await transfers.close()


def _service(settings: Settings, name: str, key: str, endpoint: str, transfers: Transfers) -> Service:
    """One account, as its directory remembers it; empty at first use."""
    directory = settings.data / name
    store = SqliteStore(directory / "state.db")
    clock = Clock(speed=settings.speed, start=remembered_time(store))
    account = Account(
        name=name,
        now=clock.now(),
        seed=settings.seed,
        nodes=settings.nodes,
        quotas=settings.quotas,
        watch_samples=store.sampled,
        tracked=True,
    )
    restore(account, store)
    site = Site(account=name, endpoint=endpoint, directory=directory, image=settings.image, grace=settings.grace)
    return Service(account, key=key, clock=clock, site=site, transfers=transfers, store=store)


async def _until_signalled() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localcloud.batch", description=__doc__)
    add_arguments(parser)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return asyncio.run(run(parser.parse_args()))
