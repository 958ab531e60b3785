"""The audit sees each thing that can be wrong: planted in real storage, one at a time."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from azure.storage.blob.aio import BlobServiceClient
from PIL import Image

from shared.naming import Naming, png_name, source_label
from shared.quarantine import Quarantined, to_bytes
from tests.chaos.audit import Audit
from tests.chaos.cloud import ACCOUNT, CONTAINERS, KEY
from tests.chaos.truth import Truth
from tests.chaos.uploads import Uploader

pytestmark = pytest.mark.azurite


@dataclass
class Desk:
    """Storage in which all is well: two good images converted, a bad one in quarantine."""

    storage: BlobServiceClient
    truth: Truth

    async def problems(self) -> list[str]:
        return await Audit(self.storage, truth=self.truth).problems()

    async def put_png(self, name: str, etag: str, png: bytes) -> None:
        metadata = {"source": source_label(name), "source_etag": etag}
        client = self.storage.get_blob_client("converted", png_name(name, Naming.REPLACE))
        await client.upload_blob(png, overwrite=True, metadata=metadata)

    async def quarantine(self, name: str, etag: str) -> None:
        document = Quarantined(
            name=name, etag=etag, size=1, reason="not-a-jpeg", detail="", when="2026", attempts=1, manifest="m"
        )
        client = self.storage.get_blob_client("quarantine", name)
        metadata = {"source_etag": etag, "reason": "not-a-jpeg"}
        await client.upload_blob(to_bytes(document), overwrite=True, metadata=metadata)


def as_png(jpeg: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as image:
        image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def desk(azurite_port: int) -> AsyncIterator[Desk]:
    endpoint = f"http://127.0.0.1:{azurite_port}/{ACCOUNT}"
    truth, rng = Truth(), random.Random(2)
    async with BlobServiceClient(endpoint, credential={"account_name": ACCOUNT, "account_key": KEY}) as storage:
        for name in CONTAINERS:
            await storage.create_container(name)
        try:
            uploader = Uploader(
                storage.get_container_client("images"), truth=truth, rng=rng, announce=lambda _: None, bad_share=0.0
            )
            made = Desk(storage=storage, truth=truth)
            for name in ("a.jpg", "b é%.jpeg"):
                await uploader.upload(name)
                await made.put_png(name, truth.latest[name].etag, as_png(truth.latest[name].picture.data))
            await Uploader(
                storage.get_container_client("images"), truth=truth, rng=rng, announce=lambda _: None, bad_share=1.0
            ).upload("bad.jpg")
            await made.quarantine("bad.jpg", truth.latest["bad.jpg"].etag)
            yield made
        finally:
            for name in CONTAINERS:
                await storage.delete_container(name)


async def test_all_well_is_no_problem(desk: Desk) -> None:
    assert await desk.problems() == []


async def missing_png(desk: Desk) -> None:
    await desk.storage.get_blob_client("converted", "a.png").delete_blob()


async def stale_png(desk: Desk) -> None:
    await desk.put_png("a.jpg", "0xOLD", as_png(desk.truth.latest["a.jpg"].picture.data))


async def wrong_pixels(desk: Desk) -> None:
    other = as_png(desk.truth.latest["b é%.jpeg"].picture.data)
    await desk.put_png("a.jpg", desk.truth.latest["a.jpg"].etag, other)


async def one_wrong_pixel(desk: Desk) -> None:
    with Image.open(io.BytesIO(as_png(desk.truth.latest["a.jpg"].picture.data))) as image:
        out = io.BytesIO()
        changed = image.convert("RGB")
        red, green, blue = (int(value) for value in changed.tobytes()[:3])
        changed.putpixel((0, 0), (red ^ 1, green, blue))
        changed.save(out, "PNG")
    await desk.put_png("a.jpg", desk.truth.latest["a.jpg"].etag, out.getvalue())


async def no_source(desk: Desk) -> None:
    await desk.put_png("never.jpg", "0x1", b"png")


async def deleted_source(desk: Desk) -> None:
    await desk.storage.get_blob_client("images", "a.jpg").delete_blob()
    desk.truth.removed("a.jpg")


async def lost_by_storage(desk: Desk) -> None:
    await desk.storage.get_blob_client("images", "a.jpg").delete_blob()


async def not_quarantined(desk: Desk) -> None:
    await desk.storage.get_blob_client("quarantine", "bad.jpg").delete_blob()


async def stale_quarantine(desk: Desk) -> None:
    await desk.quarantine("bad.jpg", "0xOLD")


async def good_in_quarantine(desk: Desk) -> None:
    await desk.quarantine("a.jpg", desk.truth.latest["a.jpg"].etag)


async def open_inbox(desk: Desk) -> None:
    await desk.storage.get_blob_client("manifests", "inbox/p/1.jsonl").upload_blob(b"x")


async def open_manifest(desk: Desk) -> None:
    await desk.storage.get_blob_client("manifests", "sealed/m.json").upload_blob(b"x")


async def open_plan(desk: Desk) -> None:
    await desk.storage.get_blob_client("manifests", "plan/current.json").upload_blob(b"x")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing_png, "no PNG for 'a.jpg'"),
        (stale_png, "stale PNG 'a.png'"),
        (wrong_pixels, "PNG 'a.png': is"),
        (one_wrong_pixel, "PNG 'a.png': pixels differ"),
        (no_source, "PNG without a valid source: 'never.png'"),
        (deleted_source, "PNG without a valid source: 'a.png'"),
        (lost_by_storage, "images/a.jpg: storage holds None"),
        (not_quarantined, "bad image not in quarantine: 'bad.jpg'"),
        (stale_quarantine, "quarantine of 'bad.jpg' is about 0xOLD"),
        (good_in_quarantine, "in quarantine, but not a bad image: 'a.jpg'"),
        (open_inbox, "open inbox"),
        (open_manifest, "open sealed manifest"),
        (open_plan, "open plan"),
    ],
)
async def test_what_is_wrong_is_said(desk: Desk, spoil: Callable[[Desk], Awaitable[None]], said: str) -> None:
    await spoil(desk)
    problems = await desk.problems()
    assert len(problems) == 1
    assert problems[0].startswith(said)
