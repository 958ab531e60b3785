"""The port's contract: the fake in memory and the adapter on a real Azurite answer alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.app_settings import StorageSettings
from tests.worker.account import Account
from tests.worker.memory import MemoryBlobs
from worker.blobs import (
    BlobMissingError,
    Blobs,
    ConditionError,
    ContainerMissingError,
    CredentialsError,
    StorageAwayError,
)
from worker.storage import AzureBlobs

ODD_NAMES = ["a b/ü/日本.jpg", "per%20cent#?&+;=.jpg", "dots./..a/x.jpg", "~tilde'(1)!*.jpg", "emoji😀.jpg", "a//b.jpg"]


@pytest.fixture(params=["memory", "azurite"])
async def port(request: pytest.FixtureRequest, account: Account) -> AsyncIterator[tuple[Blobs, str]]:
    """An implementation of the port and a container."""
    if request.param == "memory":
        yield MemoryBlobs("box"), "box"
        return
    blobs = AzureBlobs(account.settings)
    yield blobs, account.settings.images
    await blobs.close()


async def put(blobs: Blobs, box: str, name: str, data: bytes = b"data", if_match: str = "") -> None:
    await blobs.put(box, name, [data], content_type="image/png", metadata={"source": "a%20b"}, if_match=if_match)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_what_is_put_is_got(port: tuple[Blobs, str], name: str) -> None:
    """Content, size, metadata and name, whatever characters the name has."""
    blobs, box = port
    await blobs.put(
        box, name, [b"one", bytearray(b"two"), memoryview(b"three")], content_type="image/png", metadata={"source": "x"}
    )
    properties = await blobs.head(box, name)
    assert (properties.size, dict(properties.metadata)) == (11, {"source": "x"})
    blob = await blobs.get(box, name, if_match=properties.etag)
    assert (blob.data, blob.etag) == (b"onetwothree", properties.etag)
    assert '"' not in blob.etag
    assert [found.name async for found in blobs.list(box, name[:3])] == [name]


async def test_a_large_body_arrives_whole(port: tuple[Blobs, str]) -> None:
    """Many pieces, many times the size that is handed to the socket at once."""
    blobs, box = port
    pieces = [bytes([number]) * 300_000 for number in range(20)]
    await blobs.put(box, "large", pieces, content_type="image/png", metadata={})
    assert (await blobs.get(box, "large")).data == b"".join(pieces)


async def test_a_put_without_a_condition_never_overwrites(port: tuple[Blobs, str]) -> None:
    """First come keeps the name."""
    blobs, box = port
    await put(blobs, box, "a", b"first")
    with pytest.raises(ConditionError):
        await put(blobs, box, "a", b"second")
    assert (await blobs.get(box, "a")).data == b"first"


async def test_a_put_with_a_condition_replaces_that_version_only(port: tuple[Blobs, str]) -> None:
    """And none where the blob has gone."""
    blobs, box = port
    await put(blobs, box, "a", b"first")
    first = (await blobs.head(box, "a")).etag
    await put(blobs, box, "a", b"second", if_match=first)
    assert (await blobs.get(box, "a")).data == b"second"
    for name in ("a", "missing"):
        with pytest.raises(ConditionError):
            await put(blobs, box, name, b"third", if_match=first)


async def test_a_get_of_another_version_is_refused(port: tuple[Blobs, str]) -> None:
    """The manifest's version or none."""
    blobs, box = port
    await put(blobs, box, "a")
    with pytest.raises(ConditionError):
        await blobs.get(box, "a", if_match="0xDEAD")


async def test_missing_blobs_and_containers_are_told_apart(port: tuple[Blobs, str]) -> None:
    """A blob that is gone is the image's fate; a container that is gone is a wrong setting."""
    blobs, box = port
    for ask in (blobs.get, blobs.head):
        with pytest.raises(BlobMissingError):
            await ask(box, "missing")
    with pytest.raises(BlobMissingError):
        await blobs.append(box, "missing", b"x")
    with pytest.raises(ContainerMissingError):
        await blobs.get("no-such-container", "a")
    with pytest.raises(ContainerMissingError):
        await put(blobs, "no-such-container", "a")
    with pytest.raises(ContainerMissingError):
        [blob async for blob in blobs.list("no-such-container", "")]


async def test_a_log_grows_by_appends_and_is_made_once(port: tuple[Blobs, str]) -> None:
    """A second creation is refused: it would empty the blob."""
    blobs, box = port
    await blobs.create_log(box, "run/1.jsonl")
    await blobs.append(box, "run/1.jsonl", b"one\n")
    await blobs.append(box, "run/1.jsonl", b"two\n")
    with pytest.raises(ConditionError):
        await blobs.create_log(box, "run/1.jsonl")
    assert (await blobs.get(box, "run/1.jsonl")).data == b"one\ntwo\n"


async def test_a_listing_is_of_the_prefix_and_in_utf_16_order(port: tuple[Blobs, str]) -> None:
    """As Blob Storage sorts: a character beyond the first plane comes before one at its end."""
    blobs, box = port
    for name in ("p/\uff5e", "p/😀", "p/a", "q/a"):
        await put(blobs, box, name)
    assert [found.name async for found in blobs.list(box, "p/")] == ["p/a", "p/😀", "p/\uff5e"]


@pytest.mark.azurite
async def test_a_wrong_key_is_a_matter_of_credentials(account: Account) -> None:
    """Not of the image, and not of the weather: a retry gives the same answer."""
    wrong = account.settings.connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
    blobs = AzureBlobs(StorageSettings(connection_string=wrong))
    with pytest.raises(CredentialsError):
        await blobs.get(account.settings.images, "a")
    await blobs.close()


async def test_an_account_that_does_not_answer_is_away(unused_tcp_port: int) -> None:
    """After the retries, the error is one that a later task may not meet."""
    endpoint = f"http://127.0.0.1:{unused_tcp_port}/devstoreaccount1"
    blobs = AzureBlobs(StorageSettings(connection_string=f"BlobEndpoint={endpoint}"), retries=1)
    with pytest.raises(StorageAwayError):
        await blobs.get("images", "a")
    await blobs.close()
