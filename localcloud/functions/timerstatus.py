"""Timers' statuses in the app's own storage account, where Azure keeps them too.

`azure-webjobs-hosts/timers/HOST/Host.Functions.NAME/status`, in the account of the setting `AzureWebJobsStorage`.
"""

import json

from localcloud.azurite.blobs import Blobs
from localcloud.functions.timer import ScheduleStatus, parse_status

_CONTAINER = "azure-webjobs-hosts"


class BlobScheduleMonitor:
    """Statuses as blobs, under the host's id."""

    def __init__(self, blobs: Blobs, *, host_id: str) -> None:
        self._blobs = blobs
        self._host_id = host_id
        self._has_container = False

    def _name(self, function: str) -> str:
        return f"timers/{self._host_id}/Host.Functions.{function}/status"

    async def read(self, function: str) -> ScheduleStatus | None:
        """The stored status; None when there is none. Raises OSError (storage away), ValueError (no status)."""
        text = await self._blobs.get(_CONTAINER, self._name(function))
        return None if text is None else parse_status(text)

    async def write(self, function: str, status: ScheduleStatus) -> None:
        """Store a status, the container first where it is missing. Raises OSError."""
        if not self._has_container:
            await self._blobs.make_container(_CONTAINER)
            self._has_container = True
        await self._blobs.put(_CONTAINER, self._name(function), json.dumps(status.document()).encode())
