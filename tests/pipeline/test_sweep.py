"""The sweep as a stage: what it brings, what it leaves alone, and how it goes on after its deadline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.inbox import Inbox, inbox_name
from pipeline.sealing import SEALED
from pipeline.sweep import Sweep, SweepReport
from shared.app_settings import PipelineSettings
from shared.arrival import Arrival, from_lines, to_line
from shared.manifest import Entry, Manifest, to_bytes
from shared.naming import Naming, png_name, source_label
from tests.fakes.storage import FakeContainer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)


class World:
    """The four containers and a sweep over them."""

    def __init__(self, settings: PipelineSettings | None = None, *, page_size: int = 5000) -> None:
        self.written = OLD

        def container(name: str) -> FakeContainer:
            return FakeContainer(name, clock=lambda: self.written, page_size=page_size)

        self.images = container("images")
        self.converted = container("converted")
        self.quarantine = container("quarantine")
        self.manifests = container("manifests")
        self.sweep = Sweep(
            images=self.images,
            converted=self.converted,
            quarantine=self.quarantine,
            manifests=self.manifests,
            inbox=Inbox(container=self.manifests, process="sweeper"),
            settings=settings or PipelineSettings(),
            now=lambda: NOW,
        )

    async def image(self, name: str, *, at: datetime = OLD) -> str:
        self.written = at
        return await self.images.replace(name, b"jpg")

    async def png(self, source: str, etag: str) -> None:
        metadata = {"source": source_label(source), "source_etag": etag}
        await self.converted.replace(png_name(source, Naming.REPLACE), b"png", metadata=metadata)

    async def document(self, name: str, etag: str) -> None:
        await self.quarantine.replace(name, b"{}", metadata={"source_etag": etag})

    def brought(self) -> list[Arrival]:
        """What the sweep has put into its inboxes."""
        names = self.manifests.names("inbox/sweeper/")
        return [arrival for name in names for arrival in from_lines(self.manifests.blobs[name].data, where=name)]


def arrival(name: str, etag: str) -> Arrival:
    return Arrival(id="x", name=name, etag=etag, size=3, time=OLD.isoformat())


async def test_it_brings_what_is_missing_or_stale_and_nothing_else() -> None:
    world = World()
    missing = await world.image("missing.jpg")
    stale = await world.image("stale.jpg")
    await world.png("stale.jpg", "older")
    await world.png("current.jpg", await world.image("current.jpg"))
    await world.document("bad.jpg", await world.image("bad.jpg"))
    report = await world.sweep.run()
    assert {(a.name, a.etag, a.via) for a in world.brought()} == {
        ("missing.jpg", missing, "sweep"),
        ("stale.jpg", stale, "sweep"),
    }
    assert report.complete
    assert report.counts == {"images": 4, "missing": 1, "stale": 1, "current": 1, "quarantined": 1}
    assert report.examples["missing"] == ["missing.jpg"]


async def test_it_leaves_alone_what_is_on_its_way() -> None:
    """In an inbox, or in a sealed manifest: bringing it again would only convert it twice."""
    world = World()
    in_inbox = await world.image("in-inbox.jpg")
    in_manifest = await world.image("in-manifest.jpg")
    other = inbox_name("other", 1)
    await world.manifests.create_append(other)
    await world.manifests.append(other, to_line(arrival("in-inbox.jpg", in_inbox)))
    entries = (Entry(name="in-manifest.jpg", etag=in_manifest, size=3),)
    manifest = Manifest(id="m", created=OLD.isoformat(), naming=Naming.REPLACE, entries=entries)
    await world.manifests.create(f"{SEALED}m.json", to_bytes(manifest))
    report = await world.sweep.run()
    assert world.brought() == []
    assert report.counts == {"images": 2, "in_flight": 2}


async def test_a_newer_version_than_the_one_on_its_way_is_brought() -> None:
    world = World()
    etag = await world.image("a.jpg")
    await world.manifests.create_append(inbox_name("other", 1))
    await world.manifests.append(inbox_name("other", 1), to_line(arrival("a.jpg", "older")))
    await world.sweep.run()
    assert [(a.name, a.etag) for a in world.brought()] == [("a.jpg", etag)]


async def test_young_images_are_left_to_their_events() -> None:
    world = World(PipelineSettings(sweep_min_age=600))
    await world.image("young.jpg", at=NOW - timedelta(seconds=599))
    report = await world.sweep.run()
    assert (world.brought(), report.counts) == ([], {"images": 1, "young": 1})
    assert (await world.sweep.run(min_age=0)).counts["missing"] == 1


async def test_a_dry_run_changes_nothing() -> None:
    world = World(PipelineSettings(sweep_delete_orphans=True))
    await world.image("missing.jpg")
    await world.png("gone.jpg", "1")
    await world.document("gone.jpg", "1")
    before = [c.snapshot() for c in (world.images, world.converted, world.quarantine, world.manifests)]
    report = await world.sweep.run(dry_run=True)
    assert [c.snapshot() for c in (world.images, world.converted, world.quarantine, world.manifests)] == before
    assert report.counts == {"images": 1, "missing": 1, "orphaned_pngs": 1, "outdated_quarantine": 1}


@pytest.mark.parametrize("delete", [False, True])
async def test_orphaned_pngs_are_reported_and_deleted_only_where_the_setting_says_so(delete: bool) -> None:
    """A blob in `converted` that Darkroom did not make is never deleted."""
    world = World(PipelineSettings(sweep_delete_orphans=delete))
    await world.png("gone.jpg", "1")
    await world.converted.replace("stranger.png", b"not ours")
    report = await world.sweep.run()
    assert report.counts["orphaned_pngs"] == 2
    assert world.converted.names() == (["stranger.png"] if delete else ["gone.png", "stranger.png"])


async def test_the_png_of_a_version_that_a_bad_one_replaced_goes() -> None:
    """Nothing will replace it, and it shows what is there no more; while the new version is on its way it stays."""
    world = World(PipelineSettings(sweep_delete_orphans=False))
    await world.png("a.jpg", "older")
    etag = await world.image("a.jpg")
    await world.png("b.jpg", "older")
    await world.image("b.jpg")
    await world.document("a.jpg", etag)
    report = await world.sweep.run()
    assert (report.counts["outdated_pngs"], report.counts["deleted_pngs"]) == (1, 1)
    assert world.converted.names() == ["b.png"]


async def test_an_orphan_whose_source_has_become_good_meanwhile_stays() -> None:
    """Listings are not of one moment: what is deleted is looked at again."""
    world = World(PipelineSettings(sweep_delete_orphans=True))
    etag = await world.image("a.jpg")
    await world.document("a.jpg", "older")
    await world.png("a.jpg", etag)
    await world.sweep.run()
    assert world.converted.names() == ["a.png"]


async def test_a_document_of_another_version_goes() -> None:
    world = World()
    await world.image("a.jpg")
    await world.document("a.jpg", "older")
    await world.sweep.run()
    assert world.quarantine.names() == []
    assert [a.name for a in world.brought()] == ["a.jpg"]


async def test_a_prefix_that_reaches_into_the_suffix_finds_the_pngs() -> None:
    world = World()
    await world.png("a/b.jpg", await world.image("a/b.jpg"))
    await world.png("a/b.c.jpg", "1")  # an orphan outside of the prefix
    report = await world.sweep.run(prefix="a/b.j")
    assert report.counts == {"images": 1, "current": 1}


async def test_a_sweep_in_many_pieces_says_and_does_what_one_does() -> None:
    """Stopped by its deadline again and again, it goes on where it was: each image is counted and brought once."""
    whole, pieces = World(), World(page_size=40)
    for world in (whole, pieces):
        for number in range(900):
            name = f"{number % 7}/{number:04d}.jpg"
            etag = await world.image(name)
            if number % 3:
                await world.png(name, etag if number % 2 else "older")
            if number % 11 == 0:
                await world.document(name, etag)
    report = await whole.sweep.run()
    runs: list[SweepReport] = [await pieces.sweep.run(deadline=0)]
    while not runs[-1].complete:
        assert len(runs) < 50
        runs.append(await pieces.sweep.run(deadline=0))
    assert len(runs) > 3
    assert (runs[-1].counts, runs[-1].examples) == (report.counts, report.examples)
    assert sorted(a.name for a in pieces.brought()) == sorted(a.name for a in whole.brought())
    assert pieces.manifests.names("state/") == []


async def test_more_than_an_append_takes_is_brought_in_parts() -> None:
    world = World()
    for number in range(2500):
        await world.image(f"{number:05d}.jpg")
    await world.sweep.run()
    assert len(world.brought()) == 2500
