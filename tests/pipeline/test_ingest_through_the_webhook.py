"""Many events at once through the real host and real storage: every version once, in few appends."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from benchmarks.ingest import measure
from tests.pipeline.test_storage_contract import ACCOUNT, KEY


@pytest.mark.azurite
async def test_repeated_shuffled_events_become_one_entry_a_version_in_few_appends(
    azurite_port: int, tmp_path: Path
) -> None:
    endpoint = f"http://127.0.0.1:{azurite_port}/{ACCOUNT}"
    connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
    found = await measure(
        connection,
        endpoint,
        tmp_path,
        events=4000,
        at_once=64,
        seed=7,
        manifests_in=f"ingest-{uuid.uuid4()}",
    )
    assert found.right
    assert found.versions == 2000
    assert found.appends_an_event <= 0.1
