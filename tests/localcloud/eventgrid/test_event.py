"""Events on the wire, subscriptions' filters, and the retry schedule."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.azurite.writes import BlobWrite
from localcloud.errors import StartError
from localcloud.eventgrid.event import BLOB_CREATED, Stored, blob_created, published, subject
from localcloud.eventgrid.retry import NO_ANSWER, UNREACHABLE, Again, Answer, GiveUp, after_failure, answered
from localcloud.eventgrid.subscription import EventSubscription, parse_subscription

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def _write(blob: str = "a b/ü#.jpg", *, length: int | None = 7, api: str = "PutBlob") -> BlobWrite:
    return BlobWrite(
        at=AT,
        api=api,
        account="devstoreaccount1",
        container="images",
        blob=blob,
        etag="0x1",
        blob_type="BlockBlob",
        content_length=length,
        content_type="image/jpeg",
        request_id="r",
        client_request_id="c",
    )


def test_a_blob_event_has_every_field_that_event_grid_sends() -> None:
    """https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage#microsoftstorageblobcreated-event"""
    event = blob_created(_write(), endpoint="http://127.0.0.1:1/devstoreaccount1", stored=None, sequencer=255)
    assert event.pop("id") != ""
    assert event["data"].pop("storageDiagnostics")["batchId"] != ""
    assert event == {
        "topic": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/localcloud/providers"
        "/Microsoft.Storage/storageAccounts/devstoreaccount1",
        "subject": "/blobServices/default/containers/images/blobs/a b/ü#.jpg",
        "eventType": "Microsoft.Storage.BlobCreated",
        "data": {
            "api": "PutBlob",
            "clientRequestId": "c",
            "requestId": "r",
            "eTag": "0x1",
            "contentType": "image/jpeg",
            "contentLength": 7,
            "blobType": "BlockBlob",
            "url": "http://127.0.0.1:1/devstoreaccount1/images/a b/ü#.jpg",
            "sequencer": "000000000000000000000000000000ff",
        },
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": "2026-01-02T03:04:05.678901Z",
    }


def test_a_head_tells_what_the_request_did_not() -> None:
    stored = Stored(etag="0x2", content_length=99, content_type="image/png", blob_type="PageBlob")
    data = blob_created(_write(length=None, api="PutBlockList"), endpoint="e", stored=stored, sequencer=1)["data"]
    assert (data["contentLength"], data["contentType"], data["blobType"]) == (99, "image/png", "PageBlob")
    assert data["eTag"] == "0x1", "that of the request, whatever was written since"


def test_a_blob_that_is_gone_again_still_has_its_event() -> None:
    data = blob_created(_write(length=None), endpoint="e", stored=None, sequencer=1)["data"]
    assert data["contentLength"] == 0


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_sequencers_compare_as_strings_as_their_numbers_do(a: int, b: int) -> None:
    one, other = (blob_created(_write(), endpoint="e", stored=None, sequencer=n)["data"]["sequencer"] for n in (a, b))
    assert (one < other) == (a < b)
    assert len(one) == len(other) == 32


IMAGES = EventSubscription(
    name="s",
    function="f",
    included_event_types=(BLOB_CREATED,),
    subject_begins_with="/blobServices/default/containers/images/",
    subject_ends_with_any=(".jpg", ".jpeg"),
)


@pytest.mark.parametrize(
    ("blob", "container", "wanted"),
    [
        ("a.jpg", "images", True),
        ("a.JPG", "images", True),
        ("x/y.Jpeg", "images", True),
        ("a.png", "images", False),
        ("a.jpg", "images2", False),
        ("a.jpg", "converted", False),
    ],
)
def test_filters_compare_without_regard_to_case(blob: str, container: str, wanted: bool) -> None:
    text = f"/blobServices/default/containers/{container}/blobs/{blob}"
    assert IMAGES.wants({"subject": text, "eventType": BLOB_CREATED}) is wanted


def test_other_event_types_are_filtered_out() -> None:
    assert not IMAGES.wants({"subject": subject(_write("a.jpg")), "eventType": "Microsoft.Storage.BlobDeleted"})


def test_a_subscription_is_read_with_azures_defaults() -> None:
    found = parse_subscription({"name": "n", "function": "f"}, where="x")
    assert found == EventSubscription(name="n", function="f")
    assert (found.max_events_per_batch, found.max_delivery_attempts, found.event_ttl_minutes) == (1, 30, 1440)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"function": "f"}, "name is missing"),
        ({"name": "n"}, "function is missing"),
        ({"name": "n", "function": "f", "max_events_per_batch": 0}, "from 1 to 5000"),
        ({"name": "n", "function": "f", "max_events_per_batch": True}, "from 1 to 5000"),
        ({"name": "n", "function": "f", "preferred_batch_size_kb": 2000}, "from 1 to 1024"),
        ({"name": "n", "function": "f", "max_delivery_attempts": 31}, "from 1 to 30"),
        ({"name": "n", "function": "f", "event_ttl_minutes": 1441}, "from 1 to 1440"),
        ({"name": "n", "function": "f", "subject_ends_with_any": ".jpg"}, "list of strings"),
        ({"name": "n", "function": 1}, "must be a string"),
        ({"name": "n", "function": "f", "retries": 1}, "unknown key 'retries'"),
    ],
)
def test_a_wrong_subscription_names_its_key(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(StartError, match=complaint):
        parse_subscription(values, where="infra/local.json")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "array"),
        ([1], "no object"),
        ([{"id": "1"}], "lacks subject, eventType, eventTime, data"),
    ],
)
def test_a_wrong_publication_is_refused(body: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        published(body, topic="t")


def test_the_service_sets_the_topic_of_what_is_published() -> None:
    event = {"id": "1", "subject": "s", "eventType": "e", "eventTime": "t", "data": {}, "topic": "mine"}
    assert published([event], topic="the-topic")[0]["topic"] == "the-topic"


def _decide(answer: Answer, attempts: int, *, age: timedelta = timedelta(0)) -> Again | GiveUp:
    return after_failure(
        answer,
        attempts=attempts,
        max_attempts=30,
        age=age,
        time_to_live=timedelta(days=1),
        random=Random(1),
    )


_STEPS = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 43200)


@pytest.mark.parametrize("attempts", range(1, 12))
def test_the_schedule_is_event_grids(attempts: int) -> None:
    """10 s, 30 s, 1 m, 5 m, 10 m, 30 m, 1 h, 3 h, 6 h, then every 12 h, each with a little randomness."""
    decision = _decide(answered(500), attempts)
    assert isinstance(decision, Again)
    assert 1 <= decision.delay.total_seconds() / _STEPS[attempts - 1] <= 1.1


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_these_answers_are_successes(status: int) -> None:
    assert answered(status).accepted


@pytest.mark.parametrize("status", [205, 301, 400, 404, 500])
def test_any_other_answer_is_a_failure(status: int) -> None:
    assert not answered(status).accepted


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "BadRequest"), (403, "Forbidden"), (413, "RequestEntityTooLarge")]
)
def test_these_answers_are_final_at_once(status: int, reason: str) -> None:
    assert _decide(answered(status), 1) == GiveUp(reason=reason)


@pytest.mark.parametrize(("status", "seconds"), [(401, 300), (404, 300), (408, 120), (503, 30), (500, 10)])
def test_some_answers_are_given_more_time(status: int, seconds: int) -> None:
    decision = _decide(answered(status), 1)
    assert isinstance(decision, Again)
    assert seconds <= decision.delay.total_seconds() <= seconds * 1.1


@pytest.mark.parametrize("answer", [NO_ANSWER, UNREACHABLE])
def test_no_answer_is_tried_again(answer: Answer) -> None:
    assert isinstance(_decide(answer, 1), Again)


def test_the_last_attempt_is_the_last() -> None:
    assert isinstance(_decide(answered(500), 29), Again)
    assert _decide(answered(500), 30) == GiveUp(reason="MaxDeliveryAttemptsExceeded")


def test_an_event_does_not_outlive_its_time() -> None:
    assert _decide(answered(500), 2, age=timedelta(hours=23, minutes=59, seconds=45)) == GiveUp(
        reason="TimeToLiveExceeded"
    )
