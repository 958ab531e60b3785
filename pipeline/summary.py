"""A summary: what came of a manifest. Archived when the manifest is closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.document import count_field, decode, encode, text_field
from shared.manifest import Entry, Manifest
from shared.outcome import Outcome, Result

KIND = "summary"
SCHEMA = 1
ARCHIVE = "archive/"

_RANK = {
    result: rank
    for rank, result in enumerate(
        (Result.CONVERTED, Result.CURRENT, Result.REJECTED, Result.SUPERSEDED, Result.DELETED)
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A closed manifest in figures."""

    manifest: str
    job: str
    end: str
    """succeeded, failed or vanished: how its task ended."""
    created: str
    closed: str
    """ISO 8601 UTC."""
    images: int
    counts: Mapping[str, int]
    """Images by result, and `retried` and `quarantined` among them."""
    bytes_in: int
    bytes_out: int
    pixels: int
    milliseconds: int
    """Summed over images: what the nodes worked."""
    attempts: int
    """The most tasks that had failed on one of its images before."""
    runs: int
    """Runs of the task that left outcomes."""
    node: str
    exit_code: int | None


def archive_name(manifest_id: str) -> str:
    """Where a manifest's summary is kept. A plan's id begins with its date, so that the id alone says where."""
    return f"{ARCHIVE}{manifest_id[:4]}/{manifest_id[4:6]}/{manifest_id[6:8]}/{manifest_id}.json"


def best_outcomes(entries: Iterable[Entry], outcomes: Iterable[Outcome]) -> dict[tuple[str, str], Outcome]:
    """One outcome an entry. Of several (a task that ran again) the one that says most: a PNG that was made counts."""
    wanted = {entry.key for entry in entries}
    best: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        known = best.get(outcome.key)
        if outcome.key in wanted and (known is None or _RANK[outcome.result] < _RANK[known.result]):
            best[outcome.key] = outcome
    return best


def summarise(
    manifest: Manifest, best: Mapping[tuple[str, str], Outcome], *, retried: int, quarantined: int, **told: Any
) -> Summary:
    """The summary of a manifest; `told` is what only the caller knows (job, end, closed, runs, node, exit_code)."""
    counts = {result.value: 0 for result in Result}
    for outcome in best.values():
        counts[outcome.result.value] += 1
    counts |= {"retried": retried, "quarantined": quarantined}
    return Summary(
        manifest=manifest.id,
        created=manifest.created,
        images=len(manifest.entries),
        counts=counts,
        bytes_in=sum(outcome.bytes_in for outcome in best.values()),
        bytes_out=sum(outcome.bytes_out for outcome in best.values()),
        pixels=sum(outcome.pixels for outcome in best.values()),
        milliseconds=sum(outcome.milliseconds for outcome in best.values()),
        attempts=max((entry.attempt for entry in manifest.entries), default=0),
        **told,
    )


def as_body(summary: Summary) -> dict[str, Any]:
    """The summary's fields, as stored and as sent in an event."""
    return {
        "manifest": summary.manifest,
        "job": summary.job,
        "task": summary.manifest,
        "end": summary.end,
        "created": summary.created,
        "closed": summary.closed,
        "images": summary.images,
        "counts": dict(summary.counts),
        "bytes_in": summary.bytes_in,
        "bytes_out": summary.bytes_out,
        "pixels": summary.pixels,
        "ms": summary.milliseconds,
        "attempts": summary.attempts,
        "runs": summary.runs,
        "node": summary.node,
        "exit_code": summary.exit_code,
    }


def to_bytes(summary: Summary) -> bytes:
    """The summary as stored."""
    return encode(KIND, SCHEMA, as_body(summary))


def from_bytes(data: bytes, *, where: str) -> Summary:
    """The stored summary. Raises DocumentError, naming `where`, when it is not one that this release knows."""
    body = decode(data, KIND, SCHEMA, where=where)
    counts = body.get("counts")
    exit_code = body.get("exit_code")
    return Summary(
        manifest=text_field(body, "manifest", where=where),
        job=text_field(body, "job", where=where),
        end=text_field(body, "end", where=where),
        created=text_field(body, "created", where=where),
        closed=text_field(body, "closed", where=where),
        images=count_field(body, "images", where=where),
        counts={str(key): int(value) for key, value in counts.items()} if isinstance(counts, dict) else {},
        bytes_in=count_field(body, "bytes_in", where=where),
        bytes_out=count_field(body, "bytes_out", where=where),
        pixels=count_field(body, "pixels", where=where),
        milliseconds=count_field(body, "ms", where=where),
        attempts=count_field(body, "attempts", where=where),
        runs=count_field(body, "runs", where=where),
        node=text_field(body, "node", where=where),
        exit_code=exit_code if isinstance(exit_code, int) else None,
    )
