"""An image's story: what is known of it at each place on its way, and the sentence that follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from darkroom.why.finding import PATIENCE
from shared.arrival import Arrival
from shared.manifest import Entry
from shared.naming import is_jpeg_name, source_label
from shared.outcome import Outcome, Result
from shared.quarantine import Quarantined


class Verdict(StrEnum):
    """Where the image is."""

    DONE = "done"
    WAITING = "waiting"
    WORKING = "working"
    QUARANTINED = "quarantined"
    NOT_AN_IMAGE = "not-an-image"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The blob in the images container."""

    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Png:
    """A blob that bears the name of the image's PNG."""

    name: str
    label: str
    source_etag: str
    manifest: str
    modified: datetime
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An open manifest that holds the image, its task, and what its runs said of the image."""

    manifest: str
    created: str
    entry: Entry
    job: str
    task_state: str
    node: str
    retries: int
    requeued: int
    failure: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that was found of an image."""

    name: str
    source: Source | None
    pngs: tuple[Png, ...]
    quarantined: Quarantined | None
    inbox: tuple[Arrival, ...]
    held: tuple[Held, ...]
    past: tuple[tuple[str, Outcome], ...]
    """Outcomes of closed manifests: (manifest id, outcome)."""
    now: datetime


_WAY = ("image", "inbox", "manifest", "PNG", "outcome", "past", "quarantine")
"""The order of what happens to an image. A worker says its outcome when the PNG is stored: never before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the story."""

    place: str
    at: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What became of the image, or what it waits for."""

    name: str
    verdict: Verdict
    sentence: str
    advice: str
    steps: tuple[Step, ...]


def tell(known: Known, *, patience: float = PATIENCE) -> Story:
    """The story of an image. `patience`: seconds that its event may take."""
    verdict, sentence, advice = _judge(known, patience)
    return Story(name=known.name, verdict=verdict, sentence=sentence, advice=advice, steps=tuple(_steps(known)))


def _judge(known: Known, patience: float) -> tuple[Verdict, str, str]:
    if not is_jpeg_name(known.name):
        return (
            Verdict.NOT_AN_IMAGE,
            "Its name is not a JPG's, so nothing is done with it.",
            "Names must end in .jpg, .jpeg, .jpe or .jfif.",
        )
    if known.source is None:
        return _judge_gone(known)
    label = source_label(known.name)
    mine = next((png for png in known.pngs if png.label == label), None)
    if mine is not None and mine.source_etag == known.source.etag:
        return Verdict.DONE, f"Done: {mine.name} was made from this very version.", ""
    if known.quarantined is not None and known.quarantined.etag == known.source.etag:
        why = known.quarantined
        return (
            Verdict.QUARANTINED,
            f"In quarantine: {why.reason}. {why.detail}".strip(),
            "Upload a good version, or try this one again: darkroom quarantine replay.",
        )
    current = [held for held in known.held if held.entry.etag == known.source.etag]
    if current:
        return _judge_held(current[-1])
    if any(arrival.etag == known.source.etag for arrival in known.inbox) or (known.inbox and not known.held):
        arrival = known.inbox[-1]
        return (
            Verdict.WAITING,
            f"Arrived (by {arrival.via}), and waits in an inbox for dispatch to put it into a manifest.",
            "Dispatch runs every minute; darkroom why (without a name) says whether it does.",
        )
    if known.held:
        return (
            Verdict.WAITING,
            f"Manifest {known.held[-1].manifest} holds an older version; the event of this one is on the way.",
            "darkroom sweep finds this version should its event be lost.",
        )
    return _judge_nowhere(known, known.source, mine, patience)


def _judge_gone(known: Known) -> tuple[Verdict, str, str]:
    if known.pngs:
        return (
            Verdict.GONE,
            f"There is no such image (any more), but {known.pngs[0].name} is there: an orphan.",
            "A sweep counts orphans, and deletes them where SWEEP_DELETE_ORPHANS is set.",
        )
    return Verdict.GONE, "There is no such image in the images container.", "Is the name right, with its folders?"


def _judge_held(held: Held) -> tuple[Verdict, str, str]:
    done = next((one for one in held.outcomes if one.key == held.entry.key), None)
    if done is not None:
        return (
            Verdict.WORKING,
            f"The worker is done with it ({done.result.value}); collect has not closed manifest {held.manifest} yet.",
            "",
        )
    if not held.job:
        return (
            Verdict.WAITING,
            f"In manifest {held.manifest}, which has no task yet.",
            "Dispatch submits it; darkroom why (without a name) says what keeps it.",
        )
    if held.task_state in {"active", "preparing"}:
        again = f", requeued {held.requeued} time(s)" if held.requeued else ""
        return (
            Verdict.WAITING,
            f"In manifest {held.manifest}; its task waits for a slot on a node{again}.",
            "darkroom why (without a name) says why no slot comes free.",
        )
    if held.task_state == "running":
        return Verdict.WORKING, f"Its task {held.manifest} runs on {held.node or 'a node'}, and has not come to it.", ""
    if held.task_state == "completed":
        failed = f": {held.failure}" if held.failure else ""
        return (
            Verdict.WAITING,
            f"Its task {held.manifest} ended without doing it{failed}. Collect will send it on its way again.",
            f"darkroom logs {held.manifest} shows what the task printed.",
        )
    return (
        Verdict.WAITING,
        f"Its task {held.manifest} is not in job {held.job} (any more). Collect will send it on its way again.",
        "",
    )


def _judge_nowhere(known: Known, source: Source, mine: Png | None, patience: float) -> tuple[Verdict, str, str]:
    age = (known.now - source.modified).total_seconds()
    rejected = [one for _, one in known.past if one.etag == source.etag and one.result is Result.REJECTED]
    other = next((png for png in known.pngs if png.label != source_label(known.name)), None)
    if rejected:
        return Verdict.WAITING, "Rejected before and taken out of quarantine; the next sweep brings it again.", ""
    if other is not None:
        return (
            Verdict.WAITING,
            f"Not seen yet; {other.name} was made from another image, so this one will be a name conflict.",
            "Rename one of the two, or set NAMING=append.",
        )
    stale = f" {mine.name} was made from an older version." if mine is not None else ""
    if age <= patience:
        return Verdict.WAITING, f"Uploaded {age:.0f} s ago; its event is on the way.{stale}", ""
    return (
        Verdict.UNKNOWN,
        f"Nothing knows of it: its event was lost, or comes late.{stale}",
        "The next sweep finds it; darkroom sweep looks now. darkroom why says whether events arrive at all.",
    )


def _steps(known: Known) -> list[Step]:
    steps = []
    if known.source is not None:
        source = known.source
        steps.append(Step(place="image", at=_time(source.modified), what=f"{source.size} bytes, ETag {source.etag}"))
    for arrival in known.inbox:
        attempt = f", after {arrival.attempt} failed task(s)" if arrival.attempt else ""
        steps.append(Step(place="inbox", at=arrival.time, what=f"version {arrival.etag} by {arrival.via}{attempt}"))
    for manifest, outcome in known.past:
        steps.append(Step(place="past", at=outcome.at, what=_outcome(manifest, outcome)))
    for held in known.held:
        task = f", task {held.task_state or 'unknown'}" if held.job else ", no task yet"
        steps.append(
            Step(
                place="manifest",
                at=held.created,
                what=f"{held.manifest}: version {held.entry.etag}, attempt {held.entry.attempt + 1}{task}"
                + (f" on {held.node}" if held.node else ""),
            )
        )
        steps += [
            Step(place="outcome", at=one.at, what=_outcome(held.manifest, one))
            for one in held.outcomes
            if one.name == known.name
        ]
    if known.quarantined is not None:
        what = known.quarantined
        steps.append(
            Step(
                place="quarantine",
                at=what.when,
                what=f"{what.reason}: {what.detail} (version {what.etag}, {what.attempts} attempt(s))",
            )
        )
    for png in known.pngs:
        whose = "this image" if png.label == source_label(known.name) else f"another image ({png.label})"
        steps.append(
            Step(place="PNG", at=_time(png.modified), what=f"{png.name}: of {whose}, version {png.source_etag}")
        )
    # By the second: storage's clock has no finer one, and within a second the way of an image is known.
    return sorted(steps, key=lambda step: (step.at[:19], _WAY.index(step.place)))


def _outcome(manifest: str, outcome: Outcome) -> str:
    said = f": {outcome.reason} {outcome.detail}".rstrip() if outcome.reason else ""
    return f"{manifest}: version {outcome.etag} {outcome.result.value}{said} in {outcome.milliseconds} ms"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
