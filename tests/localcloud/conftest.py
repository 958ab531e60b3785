"""A real Azurite with the hook, as the local cloud starts it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from localcloud.azurite.account import connection_string, endpoint
from localcloud.azurite.blobs import Blobs
from localcloud.azurite.server import azurite, find_azurite, find_node
from localcloud.child import Child, ChildSpec

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A running Azurite: its child, where it answers, where its write notices go."""

    child: Child
    spec: ChildSpec
    endpoint: str
    connection_string: str
    writes: Path
    blobs: Blobs


def storage_spec(folder: Path, *, port: int = 0) -> ChildSpec:
    """How an Azurite of a test starts, with all its files in `folder`."""
    return azurite(
        node=find_node(),
        main=find_azurite(ROOT),
        data=folder / "azurite",
        writes=folder / "writes",
        log=folder / "azurite.log",
        port=port,
    )


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """An Azurite of the test's own."""
    spec = storage_spec(tmp_path)
    child = Child(spec)
    port = int(await child.start())
    blobs = Blobs(connection_string(endpoint(port)))
    try:
        yield Storage(
            child=child,
            spec=spec,
            endpoint=endpoint(port),
            connection_string=connection_string(endpoint(port)),
            writes=tmp_path / "writes",
            blobs=blobs,
        )
    finally:
        await blobs.close()
        await child.stop(grace_seconds=10)
