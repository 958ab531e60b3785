"""What the stages lean on in storage: held by the fake and by real storage (Azurite) alike."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from azure.storage.blob.aio import ContainerClient

from pipeline.azure_storage import AzureContainer
from pipeline.storage import (
    BlobChangedError,
    BlobExistsError,
    BlobMissingError,
    BlobSealedError,
    Container,
    StorageUnavailableError,
    listed,
)
from shared.naming import listing_key
from tests.fakes.storage import FakeContainer

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(params=["fake", pytest.param("azurite", marks=pytest.mark.azurite)])
async def container(request: pytest.FixtureRequest) -> AsyncIterator[Container]:
    if request.param == "fake":
        yield FakeContainer("manifests")
        return
    endpoint = f"http://127.0.0.1:{request.getfixturevalue('azurite_port')}/{ACCOUNT}"
    name = f"contract-{uuid.uuid4()}"
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    async with ContainerClient(endpoint, name, credential=credential) as client:
        await client.create_container()
        yield AzureContainer(client)
        await client.delete_container()


async def test_appended_blocks_are_read_in_their_order(container: Container) -> None:
    await container.create_append("a/1.jsonl")
    for block in (b"one\n", b"two\n"):
        await container.append("a/1.jsonl", block)
    assert (await container.read("a/1.jsonl")).data == b"one\ntwo\n"


async def test_an_append_blob_is_never_emptied_by_a_second_create(container: Container) -> None:
    await container.create_append("a")
    await container.append("a", b"kept")
    with pytest.raises(BlobExistsError):
        await container.create_append("a")
    assert (await container.read("a")).data == b"kept"


async def test_nothing_can_be_appended_after_sealing(container: Container) -> None:
    await container.create_append("a")
    await container.append("a", b"before")
    await container.seal("a")
    await container.seal("a")
    with pytest.raises(BlobSealedError):
        await container.append("a", b"after")
    assert (await container.read("a")).data == b"before"
    assert [blob.sealed for blob in await listed(container, "")] == [True]
    found = await container.find("a")
    assert found is not None
    assert found.sealed


async def test_appending_to_or_sealing_nothing_says_so(container: Container) -> None:
    with pytest.raises(BlobMissingError):
        await container.append("a", b"x")
    with pytest.raises(BlobMissingError):
        await container.seal("a")


async def test_only_the_first_create_wins(container: Container) -> None:
    etag = await container.create("sealed/a b%é.json", b"first", metadata={"images": "3"})
    with pytest.raises(BlobExistsError):
        await container.create("sealed/a b%é.json", b"second")
    stored = await container.read("sealed/a b%é.json")
    assert (stored.data, stored.etag, dict(stored.metadata)) == (b"first", etag, {"images": "3"})


async def test_a_replace_with_an_etag_hits_that_version_only(container: Container) -> None:
    first = await container.create("a", b"1")
    second = await container.replace("a", b"2", etag=first)
    assert second != first
    with pytest.raises(BlobChangedError):
        await container.replace("a", b"3", etag=first)
    with pytest.raises(BlobChangedError):
        await container.replace("missing", b"3", etag=first)
    await container.replace("a", b"4")
    assert (await container.read("a")).data == b"4"


async def test_metadata_is_set_on_one_version_only_and_content_stays(container: Container) -> None:
    etag = await container.create("a", b"content", metadata={"images": "3"})
    changed = await container.set_metadata("a", {"images": "3", "job": "j"}, etag=etag)
    with pytest.raises(BlobChangedError):
        await container.set_metadata("a", {"job": "other"}, etag=etag)
    stored = await container.read("a")
    assert (stored.data, stored.etag, dict(stored.metadata)) == (b"content", changed, {"images": "3", "job": "j"})


async def test_a_delete_with_an_etag_hits_that_version_only(container: Container) -> None:
    etag = await container.create("a", b"1")
    newer = await container.replace("a", b"2")
    with pytest.raises(BlobChangedError):
        await container.delete("a", etag=etag)
    await container.delete("a", etag=newer)
    with pytest.raises(BlobChangedError):
        await container.delete("a", etag=newer)
    with pytest.raises(BlobMissingError):
        await container.delete("a")


async def test_a_blob_that_is_not_there_is_missing_and_not_empty(container: Container) -> None:
    assert await container.find("a") is None
    with pytest.raises(BlobMissingError):
        await container.read("a")


async def test_the_end_of_a_blob_can_be_read_alone(container: Container) -> None:
    await container.create("a", b"0123456789")
    await container.create("empty", b"")
    assert (await container.read("a", last=3)).data == b"789"
    assert (await container.read("a", last=99)).data == b"0123456789"
    assert (await container.read("empty", last=3)).data == b""


async def test_a_listing_follows_utf16_order_across_pages(container: Container) -> None:
    names = ["a.jpg", "a-b.jpg", "a.jpeg", "a.k.jpg", "\U0001f600.jpg", "\uffee.jpg", "ab.jpg", "Z.jpg", "x/1"]
    for name in names:
        await container.create(name, b"x", metadata={"n": "1"})
    pages = [page async for page in container.pages(size=2, metadata=True)]
    found = [blob for page in pages for blob in page.blobs]
    assert [blob.name for blob in found] == sorted(names, key=listing_key)
    assert all(len(page.blobs) <= 2 for page in pages)
    assert all(dict(blob.metadata) == {"n": "1"} for blob in found)
    assert [bool(page.marker) for page in pages] == [True] * (len(pages) - 1) + [False]


async def test_a_listing_goes_on_from_a_marker_and_keeps_to_its_prefix(container: Container) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        await container.create(name, b"x")
    first = await anext(aiter(container.pages("a/", size=2)))
    rest = [blob.name async for page in container.pages("a/", marker=first.marker, size=2) for blob in page.blobs]
    assert [blob.name for blob in first.blobs] + rest == ["a/1", "a/2", "a/3"]
    assert first.served is not None


async def test_a_found_blob_is_what_a_listing_says(container: Container) -> None:
    await container.create("a", b"12345", metadata={"job": "j"})
    (blob,) = await listed(container, "a", metadata=True)
    found = await container.find("a")
    assert found == blob
    assert (blob.size, blob.modified.tzinfo is not None) == (5, True)


async def test_a_refused_operation_is_unavailable_storage() -> None:
    """Of the fake: tests refuse operations at its gate, and the caller sees what an outage shows."""

    async def closed(label: str, operation: object) -> None:
        raise StorageUnavailableError(label)

    container = FakeContainer("manifests", gate=closed)  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailableError, match="append manifests/a"):
        await container.append("a", b"x")
