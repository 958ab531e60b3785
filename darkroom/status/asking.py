"""Asks for the status: the function app, which has it in a moment; else storage itself, with the operator's sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from darkroom.app_door import AppDoor
from darkroom.failure import CommandError
from darkroom.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A status document, who gave it, and why not the app where it did not."""

    document: dict[str, Any]
    source: str
    remark: str = ""


def ask_status(profile: Profile) -> Asked:
    """The status. Raises what storage raises when that does not answer either."""
    door = AppDoor(url=profile.functions_url, key=profile.functions_key)
    remark = ""
    if door.known:
        try:
            return Asked(document=door.ask("/api/status"), source="function app")
        except CommandError as error:
            remark = f"{error}; asked storage instead"
    import asyncio  # noqa: PLC0415 (the app's own answer needs none of it)

    return Asked(document=asyncio.run(_from_storage(profile)), source="storage", remark=remark)


async def _from_storage(profile: Profile) -> dict[str, Any]:
    """Without the whole application: a status needs two containers, and the rest would take a second to load."""
    from darkroom.connection import connect  # noqa: PLC0415 (Azure's SDKs are slow to load)
    from pipeline.azure_storage import AzureContainer  # noqa: PLC0415 (as above)
    from pipeline.clock import ServiceClock  # noqa: PLC0415 (as above)
    from pipeline.journal import Journal  # noqa: PLC0415 (as above)
    from pipeline.status import gather  # noqa: PLC0415 (as above)

    clock = ServiceClock()
    async with connect(profile) as connection:
        storage = connection.settings.storage
        manifests, quarantine = [
            AzureContainer(await connection.container(name), served=clock.observe)
            for name in (storage.manifests, storage.quarantine)
        ]
        journal = Journal(container=manifests, now=clock.now)
        return (await gather(manifests, quarantine, journal, now=clock.now())).as_json()
