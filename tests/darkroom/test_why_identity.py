"""As on Azure: who asks has an identity and no key, and so have the nodes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from darkroom.why.finding import Code
from tests.darkroom.places import ROOT
from tests.darkroom.system import System, findings
from tests.worker.test_identity import STORAGE, azurite, certificate, identity, prepare

pytestmark = pytest.mark.azurite


async def why_by_identity(system: System, folder: Path, *, audience: str) -> dict[str, dict[str, Any]]:
    """`darkroom why`, a process whose storage is reached by https and with tokens for `audience`."""
    cert, key = certificate(folder)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("STORAGE_", "BATCH_", "AZURE_"))}
    with azurite(cert, key) as endpoint:
        await asyncio.to_thread(prepare, endpoint, cert)
        async with identity([], audience=audience) as token_url:
            environ = ours | system.batch.environ | {"BATCH_POOL_ID": system.pool, "STORAGE_ACCOUNT_URL": endpoint}
            environ |= {"IDENTITY_ENDPOINT": token_url, "IDENTITY_HEADER": "secret", "SSL_CERT_FILE": str(cert)}
            command = [sys.executable, "-m", "darkroom", "why", "--json"]
            done = await asyncio.to_thread(
                subprocess.run, command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
            )
    return findings(done.returncode, done.stdout, done.stderr, system.seen)


@pytest.mark.provokes(Code.POOL_WITHOUT_IDENTITY)
async def test_a_pool_without_an_identity_whose_nodes_get_no_key(system: System, tmp_path: Path) -> None:
    """Storage is reached by identity, and the pool, as every pool of the local service, has none."""
    await asyncio.to_thread(system.make_pool, nodes=0)
    found = await why_by_identity(system, tmp_path, audience=STORAGE)
    assert found["pool-without-identity"]["weight"] == "blocked"
    assert f"--pool-id {system.pool}" in found["pool-without-identity"]["advice"]
    assert "permission-denied" not in found


@pytest.mark.provokes(Code.PERMISSION_DENIED)
async def test_an_operator_whose_token_storage_refuses_is_told_the_role(system: System, tmp_path: Path) -> None:
    found = await why_by_identity(system, tmp_path, audience="https://vault.azure.net")
    assert found["permission-denied"]["weight"] == "blocked"
    assert "Storage Blob Data Reader" in found["permission-denied"]["advice"]


def test_a_pool_whose_nodes_get_a_key_needs_no_identity(system: System) -> None:
    system.make_pool(nodes=0)
    assert "pool-without-identity" not in system.why()
