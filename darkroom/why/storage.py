"""Whether storage answers, has the containers, and lets the operator in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from darkroom.connection import Connection
from darkroom.why.finding import Code, Finding, Weight
from darkroom.why.role import OPERATOR_ROLES, containers
from shared.app_settings import blob_endpoint

_NOT_AUTHENTICATED = "failed to authenticate"
"""What Azure and Azurite say of a wrong signature; their codes for it differ."""


def is_shut(findings: Iterable[Finding]) -> bool:
    """Whether nothing at all can be read from storage, so that no other probe of it needs to find that out again."""
    return any(finding.code in {Code.STORAGE_AWAY, Code.STORAGE_KEY_REFUSED} for finding in findings)


async def probe_storage(connection: Connection) -> list[Finding]:
    """One listing of one blob of each container; the first one tells whether anybody answers."""
    named = containers(connection.settings.storage)
    first, *rest = named.items()
    finding = await _probe(connection, *first)
    if finding is not None and is_shut([finding]):
        return [finding]
    others = await asyncio.gather(*(_probe(connection, purpose, name) for purpose, name in rest))
    return [found for found in (finding, *others) if found is not None]


async def _probe(connection: Connection, purpose: str, name: str) -> Finding | None:
    from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 (slow to load)

    container = await connection.container(name)
    try:
        pages = container.list_blobs(results_per_page=1).by_page()
        async for _ in pages:
            break
    except HttpResponseError as error:
        said = str(error).splitlines()[0]
        if connection.settings.storage.connection_string and _NOT_AUTHENTICATED in said:
            return _key_refused(said)
        return _answered(connection, purpose, name, error.status_code or 0, said)
    except AzureError as error:
        endpoint = blob_endpoint(connection.settings.storage)
        return Finding(
            code=Code.STORAGE_AWAY,
            weight=Weight.BLOCKED,
            what=f"Storage at {endpoint} does not answer.",
            advice="On one machine: make up. On Azure: the network, the account's firewall, or a private endpoint.",
            evidence=(str(error).splitlines()[0],),
        )
    return None


def _key_refused(said: str) -> Finding:
    return Finding(
        code=Code.STORAGE_KEY_REFUSED,
        weight=Weight.BLOCKED,
        what="Storage refuses the connection string's key.",
        advice="Take the account's own connection string; a local cloud's is in its endpoints.json.",
        evidence=(said,),
    )


def _answered(connection: Connection, purpose: str, name: str, status: int, said: str) -> Finding:
    if status == 404:
        return Finding(
            code=Code.CONTAINER_MISSING,
            weight=Weight.BLOCKED,
            what=f"There is no container {name!r} ({purpose}).",
            advice="The deployment makes containers; or set the profile's …_CONTAINER settings to those of the app.",
            evidence=(said,),
        )
    if status in (401, 403):
        return Finding(
            code=Code.PERMISSION_DENIED,
            weight=Weight.BLOCKED,
            what=f"You may not read container {name!r} ({purpose}).",
            advice=f"Role needed: {OPERATOR_ROLES[purpose]}, scoped to the container. A new role takes minutes to hold."
            if connection.settings.storage.account_url
            else "The connection string's key or signature does not allow it.",
            evidence=(said,),
        )
    return Finding(
        code=Code.STORAGE_AWAY,
        weight=Weight.BLOCKED,
        what=f"Storage answers {status} for container {name!r}.",
        advice="Try again; then the account's health in the portal.",
        evidence=(said,),
    )
