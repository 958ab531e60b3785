"""Timers' statuses in the real storage, where Azure's host keeps them."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import BlobClient

from localcloud.functions.timer import ScheduleStatus
from localcloud.functions.timerstatus import BlobScheduleMonitor
from tests.localcloud.conftest import Storage

pytestmark = pytest.mark.azurite


async def test_a_status_is_kept_as_a_blob_under_the_functions_name(storage: Storage) -> None:
    """None at first; what was written last after it."""
    monitor = BlobScheduleMonitor(storage.blobs, host_id="h")
    assert await monitor.read("dispatch") is None
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for minutes in (1, 2):
        status = ScheduleStatus(last=at, next=at + timedelta(minutes=minutes), updated=at)
        await monitor.write("dispatch", status)
        assert await BlobScheduleMonitor(storage.blobs, host_id="h").read("dispatch") == status
    name = "timers/h/Host.Functions.dispatch/status"
    with BlobClient.from_connection_string(storage.connection_string, "azure-webjobs-hosts", name) as blob:
        assert b'"Next": "2026-01-02T03:06:05+00:00"' in blob.download_blob().readall()


async def test_what_is_no_status_is_refused(storage: Storage) -> None:
    await storage.blobs.make_container("azure-webjobs-hosts")
    await storage.blobs.put("azure-webjobs-hosts", "timers/h/Host.Functions.dispatch/status", b"no")
    with pytest.raises(ValueError, match="Expecting value"):
        await BlobScheduleMonitor(storage.blobs, host_id="h").read("dispatch")
