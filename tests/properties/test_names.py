"""Names: PNG names, labels, listing order and events, for every name that storage allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from hypothesis import example, given
from hypothesis import strategies as st

from shared.arrival import Arrival
from shared.events import BLOB_CREATED, Ignored, ImageSource, account_of, parse_blob_created
from shared.naming import Naming, is_jpeg_name, listing_key, normal_etag, png_name, quoted_etag, source_label
from tests.properties.words import arrivals, etags, jpeg_names, json_values

SOURCE = ImageSource(account="account.blob.core.windows.net", container="images")


@given(jpeg_names, st.sampled_from(Naming))
def test_a_source_sorts_before_its_png_and_a_png_is_no_source(name: str, naming: Naming) -> None:
    png = png_name(name, naming)
    assert listing_key(name) < listing_key(png)
    assert is_jpeg_name(name)
    assert not is_jpeg_name(png)


@given(jpeg_names, jpeg_names)
def test_appending_never_gives_two_sources_one_png(one: str, other: str) -> None:
    if one != other:
        assert png_name(one, Naming.APPEND) != png_name(other, Naming.APPEND)


@given(jpeg_names, jpeg_names)
@example("a" * 1000 + ".jpg", "a" * 1001 + ".jpg")
@example("\U0001f600" * 400 + ".jpg", "\U0001f600" * 399 + "\U0001f601.jpg")
def test_labels_are_short_ascii_and_tell_names_apart(one: str, other: str) -> None:
    label = source_label(one)
    assert label.isascii()
    assert label.isprintable()
    assert " " not in label
    assert len(label) <= 4096
    assert (label == source_label(other)) == (one == other)


@given(st.text(max_size=30), st.text(max_size=30))
def test_listing_order_is_that_of_utf16_code_units(one: str, other: str) -> None:
    def units(name: str) -> list[int]:
        data = name.encode("utf-16-be", "surrogatepass")
        return [int.from_bytes(data[n : n + 2]) for n in range(0, len(data), 2)]

    assert (listing_key(one) < listing_key(other)) == (units(one) < units(other))


@given(etags)
def test_an_etag_has_one_normal_form(etag: str) -> None:
    for form in (etag, f'"{etag}"', f'W/"{etag}"'):
        assert normal_etag(form) == etag
        assert quoted_etag(form) == f'"{etag}"'


@given(arrivals(), st.booleans())
def test_an_event_of_ours_becomes_its_arrival(arrival: Arrival, quoted: bool) -> None:
    event = {
        "id": arrival.id,
        "eventType": BLOB_CREATED,
        "subject": f"/blobServices/default/containers/images/blobs/{arrival.name}",
        "eventTime": arrival.time,
        "data": {
            "api": "PutBlob",
            "url": f"https://account.blob.core.windows.net/images/{quote(arrival.name)}",
            "eTag": quoted_etag(arrival.etag) if quoted else arrival.etag,
            "contentLength": arrival.size,
            "sequencer": arrival.sequencer,
            "storageDiagnostics": {"batchId": "x"},
        },
        "topic": "t",
    }
    assert parse_blob_created(event, SOURCE) == replace(arrival, attempt=0, via="event")


@given(st.dictionaries(st.sampled_from(["id", "eventType", "subject", "eventTime", "data"]), json_values))
def test_any_event_is_an_arrival_or_a_reason_and_never_an_error(event: dict[str, Any]) -> None:
    for candidate in (event, event | {"eventType": BLOB_CREATED}):
        assert isinstance(parse_blob_created(candidate, SOURCE), Ignored | Arrival)


@given(st.dictionaries(st.sampled_from(["api", "url", "eTag", "contentLength", "sequencer"]), json_values), st.text())
def test_any_data_of_an_event_is_an_arrival_or_a_reason(data: dict[str, Any], url: str) -> None:
    event = {
        "id": "e",
        "eventType": BLOB_CREATED,
        "subject": "/blobServices/default/containers/images/blobs/a.jpg",
        "eventTime": "2026-01-01T00:00:00Z",
    }
    for candidate in (data, data | {"url": url, "eTag": "1", "contentLength": 1}):
        assert isinstance(parse_blob_created(event | {"data": candidate}, SOURCE), Ignored | Arrival)


@given(st.from_regex(r"[a-z][a-z0-9]{2,10}", fullmatch=True), jpeg_names)
def test_another_account_or_container_is_never_ours(other: str, name: str) -> None:
    event = {
        "id": "e",
        "eventType": BLOB_CREATED,
        "subject": f"/blobServices/default/containers/{other}/blobs/{name}",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {"url": f"https://{other}.blob.core.windows.net/images/a.jpg", "eTag": "1", "contentLength": 1},
    }
    assert parse_blob_created(event, SOURCE) is (
        Ignored.OTHER_CONTAINER if other == "account" else Ignored.OTHER_ACCOUNT
    )


@given(jpeg_names)
def test_an_account_is_the_same_from_any_of_its_urls(name: str) -> None:
    url = f"http://127.0.0.1:10000/devstoreaccount1/images/{quote(name)}"
    assert unquote(url).lower().startswith("http://" + account_of("http://127.0.0.1:10000/devstoreaccount1/"))
