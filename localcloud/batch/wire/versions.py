"""Api-versions of the Batch service: which are answered here, and what differs between them on the wire.

The list is that of https://learn.microsoft.com/rest/api/batchservice/batch-service-rest-api-versioning, from the oldest
that clients still in use send.
"""

from typing import Final

from localcloud.batch.core.errors import Refused

KNOWN: Final = frozenset(
    {
        "2018-12-01.8.0",
        "2019-06-01.9.0",
        "2019-08-01.10.0",
        "2020-03-01.11.0",
        "2020-09-01.12.0",
        "2021-06-01.14.0",
        "2022-01-01.15.0",
        "2022-10-01.16.0",
        "2023-05-01.17.0",
        "2023-11-01.18.0",
        "2024-02-01.19.0",
        "2024-07-01.20.0",
        "2025-06-01",
    }
)
NEWEST: Final = "2025-06-01"


def check_version(version: str | None) -> str:
    """Raises Refused for a missing or unknown api-version."""
    if version is None:
        raise Refused("MissingRequiredQueryParameter", values=(("QueryParameterName", "api-version"),))
    if version not in KNOWN:
        raise Refused(
            "UnsupportedRequestVersion",
            values=(("RequestVersion", version), ("SupportedVersions", ", ".join(sorted(KNOWN)))),
        )
    return version
