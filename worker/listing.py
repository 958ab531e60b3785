"""Entries without a manifest: every Nth image of the sorted listing, for Batch jobs made by hand."""

from __future__ import annotations

from shared.manifest import Entry
from shared.naming import is_jpeg_name, listing_key
from worker.blobs import Blobs


async def entries(
    blobs: Blobs, container: str, prefix: str, *, task_id: int, total_tasks: int, first: bool
) -> list[Entry]:
    """The share `task_id` of `total_tasks` of the JPGs under `prefix`, or the first one alone.

    The order is the listing's own, by UTF-16 code units, so that all tasks of a job cut the same list.
    """
    found = [blob async for blob in blobs.list(container, prefix) if is_jpeg_name(blob.name)]
    found.sort(key=lambda blob: listing_key(blob.name))
    share = found[:1] if first else found[task_id::total_tasks]
    return [Entry(name=blob.name, etag=blob.etag, size=blob.size) for blob in share]
