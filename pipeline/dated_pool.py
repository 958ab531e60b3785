"""A pool together with when Batch said so: by Batch's clock, which is also the clock of every time that it tells."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from azure.batch import models as m
from azure.batch.aio import BatchClient
from azure.core.pipeline import PipelineResponse
from azure.core.rest import AsyncHttpResponse, HttpRequest


async def get_dated_pool(client: BatchClient, pool_id: str) -> tuple[m.BatchPool, datetime | None]:
    """The pool, and the answer's `Date`; None where it has none."""

    dates: list[str] = []

    def dated(answer: PipelineResponse[HttpRequest, AsyncHttpResponse], pool: m.BatchPool, _: object) -> m.BatchPool:
        dates.append(answer.http_response.headers.get("Date") or "")
        return pool

    pool = await client.get_pool(pool_id, cls=dated)
    return pool, _moment(dates[-1] if dates else "")


def _moment(date: str) -> datetime | None:
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return None
