"""What one blob operation costs a client in processor time: the SDK, the worker's use of azure-core, aiohttp.

`python -m benchmarks clients` starts an Azurite of its own. Wall time says more of Azurite than of the client, so the
process's own processor time is what is compared: interleaved rounds of GETs of 30 kB and PUTs of 400 kB, 16 at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.storage.blob.aio import BlobServiceClient

from benchmarks.azurite import ACCOUNT, KEY, Azurite
from benchmarks.table import Table
from shared.app_settings import StorageSettings
from worker.storage import AzureBlobs

_GET, _PUT = b"j" * 30_000, b"p" * 400_000
_ROUNDS, _OPERATIONS, _LANES = 5, 200, 16

Operation = Callable[[int], Awaitable[object]]


async def _all(operation: Operation, start: int) -> float:
    """Processor seconds of this process for the operations."""
    numbers = iter(range(start, start + _OPERATIONS))

    async def lane() -> None:
        for number in numbers:
            await operation(number)

    before = time.process_time()
    await asyncio.gather(*(lane() for _ in range(_LANES)))
    return time.process_time() - before


async def _measure(azurite: Azurite) -> dict[str, list[float]]:
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    await service.create_container("bench")
    await service.get_blob_client("bench", "source").upload_blob(_GET)
    core = AzureBlobs(StorageSettings(connection_string=azurite.connection_string))
    sas = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(object=True),
        AccountSasPermissions(read=True, write=True, create=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    async with aiohttp.ClientSession() as session:
        url = f"{azurite.endpoint}/bench"

        async def sdk_get(_: int) -> None:
            stream = await service.get_blob_client("bench", "source").download_blob()
            assert len(await stream.readall()) == len(_GET)

        async def sdk_put(number: int) -> None:
            await service.get_blob_client("bench", f"sdk/{number}").upload_blob(_PUT, overwrite=False)

        async def core_get(_: int) -> None:
            assert len((await core.get("bench", "source")).data) == len(_GET)

        async def core_put(number: int) -> None:
            await core.put("bench", f"core/{number}", [_PUT], content_type="image/png", metadata={"source": "a"})

        async def plain_get(_: int) -> None:
            async with session.get(f"{url}/source?{sas}") as response:
                assert len(await response.read()) == len(_GET)

        async def plain_put(number: int) -> None:
            headers = {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*", "Content-Type": "image/png"}
            body = memoryview(_PUT)
            pieces = [body[start : start + (1 << 18)] for start in range(0, len(body), 1 << 18)]

            async def stream() -> AsyncIterator[memoryview]:
                for piece in pieces:
                    yield piece

            headers["Content-Length"] = str(len(body))
            async with session.put(f"{url}/plain/{number}?{sas}", data=stream(), headers=headers) as response:
                assert response.status == 201, await response.text()

        ways = {
            "SDK GET": sdk_get,
            "SDK PUT": sdk_put,
            "azure-core GET": core_get,
            "azure-core PUT": core_put,
            "aiohttp GET": plain_get,
            "aiohttp PUT": plain_put,
        }
        costs: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(_ROUNDS + 1):
            for name, operation in ways.items():
                seconds = await _all(operation, turn * _OPERATIONS)
                if turn:  # the first round warms up
                    costs[name].append(seconds / _OPERATIONS * 1000)
    await core.close()
    await service.close()
    return costs


def main(arguments: list[str]) -> int:
    """Prints milliseconds of processor time an operation."""
    argparse.ArgumentParser(prog="python -m benchmarks clients", description=__doc__).parse_args(arguments)
    with Azurite(Path("node_modules")) as azurite:
        costs = asyncio.run(_measure(azurite))
    table = Table(["client", "ms of processor time an operation"])
    for name, rounds in costs.items():
        table.add(name, f"{statistics.median(rounds):.2f}")
    print(table.text())
    return 0
