"""What a cleaning would remove: blobs by container and prefix, jobs by age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from darkroom.images.command import TEST_PREFIX
from darkroom.why.events import DEAD_LETTERS
from shared.app_settings import StorageSettings


class Kind(StrEnum):
    """What can be cleaned."""

    TEST_IMAGES = "test-images"
    PNGS = "pngs"
    QUARANTINE = "quarantine"
    ARCHIVES = "archives"
    JOBS = "jobs"
    DEAD_LETTERS = "dead-letters"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """Blobs to remove: those of a container under a prefix that were last written before a moment."""

    container: str
    prefix: str
    before: datetime | None


ABOUT = {
    Kind.TEST_IMAGES: f"images under {TEST_PREFIX}, and their PNGs",
    Kind.PNGS: "PNGs; the next sweep makes them again as long as their images are there",
    Kind.QUARANTINE: "quarantine documents; the next sweep tries their images again",
    Kind.ARCHIVES: "archived summaries, outcomes and journals",
    Kind.JOBS: "Batch jobs that are done, with their tasks' logs",
    Kind.DEAD_LETTERS: "events that Event Grid gave up on; the sweep finds their images",
    Kind.EVERYTHING: "all that Darkroom wrote: PNGs, quarantine, open manifests, outcomes, jobs; not the images",
}


def blobs_of(kind: Kind, storage: StorageSettings, *, prefix: str, before: datetime | None) -> list[Blobs]:
    """The blobs that a kind stands for. A prefix narrows only what carries images' names."""

    def of(container: str, start: str = "", *, age: datetime | None = before) -> Blobs:
        return Blobs(container=container, prefix=start, before=age)

    match kind:
        case Kind.TEST_IMAGES:
            return [of(storage.images, TEST_PREFIX + prefix), of(storage.converted, TEST_PREFIX + prefix)]
        case Kind.PNGS:
            return [of(storage.converted, prefix)]
        case Kind.QUARANTINE:
            return [of(storage.quarantine, prefix)]
        case Kind.ARCHIVES:
            return [of(storage.manifests, "archive/"), of(storage.manifests, "journal/"), of(storage.outcomes)]
        case Kind.DEAD_LETTERS:
            return [of(DEAD_LETTERS)]
        case Kind.JOBS:
            return []
        case Kind.EVERYTHING:
            return [of(name) for name in (storage.converted, storage.quarantine, storage.manifests, storage.outcomes)]
