"""Settings: read once, typed; a wrong one stops with its key and what is allowed, and no secret is ever shown."""

from __future__ import annotations

import pytest

from shared.app_settings import (
    GROUPS,
    BatchSettings,
    PipelineSettings,
    StorageSettings,
    blob_endpoint,
    read_app_settings,
)
from shared.errors import SettingsError
from shared.naming import Naming
from shared.settings import describe, names, read
from shared.worker_settings import GROUPS as WORKER_GROUPS
from shared.worker_settings import passed_on

AZURITE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:10000/a;"
CLOUD = "DefaultEndpointsProtocol=https;AccountName=photos;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
LOCAL = {
    "STORAGE_CONNECTION_STRING": AZURITE,
    "BATCH_ENDPOINT": "http://localhost:7072",
    "BATCH_ACCOUNT": "local",
    "BATCH_KEY": "c2VjcmV0",
}
AZURE = {
    "STORAGE_ACCOUNT_URL": "https://photos.blob.core.windows.net/",
    "BATCH_ENDPOINT": "https://photos.westeurope.batch.azure.com",
}


@pytest.mark.parametrize("environ", [LOCAL, AZURE])
def test_one_machine_and_azure_are_both_told_by_settings_alone(environ: dict[str, str]) -> None:
    settings = read_app_settings(environ)
    assert blob_endpoint(settings.storage) in ("http://127.0.0.1:10000/a", "https://photos.blob.core.windows.net")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"STORAGE_CONNECTION_STRING": CLOUD}, "STORAGE_CONNECTION_STRING: keys are accepted only"),
        ({"BATCH_ENDPOINT": "https://photos.westeurope.batch.azure.com"}, "BATCH_KEY: keys are accepted only"),
        ({"BATCH_ENDPOINT": "http://127.0.0.1.evil.example"}, "BATCH_KEY: keys are accepted only"),
        ({"STORAGE_ACCOUNT_URL": "https://x"}, "STORAGE_ACCOUNT_URL, STORAGE_CONNECTION_STRING: set exactly one"),
        ({"STORAGE_CONNECTION_STRING": ""}, "set exactly one"),
        ({"BATCH_ENDPOINT": "", "BATCH_KEY": ""}, "BATCH_ENDPOINT: must be set"),
        ({"BATCH_ACCOUNT": ""}, "BATCH_ACCOUNT: must be set where BATCH_KEY is"),
        ({"MAX_ATTEMPTS": "0"}, "MAX_ATTEMPTS: '0' is not allowed; allowed: a whole number, at least 1, at most 100"),
        ({"INGEST_DEADLINE": "nan"}, "INGEST_DEADLINE"),
        ({"NAMING": "prepend"}, "NAMING: 'prepend' is not allowed; allowed: replace or append"),
        ({"POOL_SPILL_OVER": "maybe"}, "POOL_SPILL_OVER: 'maybe' is not allowed; allowed: true or false"),
        ({"POOL_DEDICATED_NODES": "11"}, "POOL_DEDICATED_NODES: must not be greater than POOL_MAX_NODES"),
        (
            {"EVENTGRID_TOPIC_ENDPOINT": "https://t.eventgrid.azure.net", "EVENTGRID_TOPIC_KEY": "c2VjcmV0"},
            "EVENTGRID_TOPIC_KEY: keys are accepted only",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(change: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_app_settings({**LOCAL, **change})
    assert said in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_every_wrong_setting_of_a_group_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read(PipelineSettings, {"MAX_ATTEMPTS": "x", "TASK_RETRIES": "-1"})
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {"MAX_ATTEMPTS", "TASK_RETRIES"}


def test_empty_and_blank_values_count_as_not_set() -> None:
    assert read(PipelineSettings, {"MAX_ATTEMPTS": " ", "NAMING": ""}) == PipelineSettings()


def test_words_and_numbers_are_read_in_their_usual_spellings() -> None:
    found = read(PipelineSettings, {"NAMING": "APPEND", "SWEEP_DELETE_ORPHANS": "Yes", "MANIFEST_MAX_AGE": "2.5"})
    assert (found.naming, found.sweep_delete_orphans, found.manifest_max_age) == (Naming.APPEND, True, 2.5)


def test_no_two_settings_share_a_name_and_each_says_what_it_is_for() -> None:
    groups = [*GROUPS, *WORKER_GROUPS]
    found = [name for group in groups for name in names(group)]
    assert len(found) == len(set(found))
    assert all(row.about.endswith(".") for group in groups for row in describe(group, {}))


def test_secrets_are_masked_where_settings_are_shown() -> None:
    shown = [row.value for group in (StorageSettings, BatchSettings) for row in describe(group, LOCAL)]
    assert not any("c2VjcmV0" in value for value in shown)
    assert shown.count("********") == 2


def test_only_the_workers_settings_are_passed_on_to_it() -> None:
    environ = {"WORKER_PROFILE": "size", "WORKER_PROCESSES": " ", "BATCH_KEY": "x", "WORKER_COMMAND": "y"}
    assert passed_on(environ) == {"WORKER_PROFILE": "size"}
