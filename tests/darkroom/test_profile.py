"""Where a command talks to: profiles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from darkroom.profile import FUNCTIONS_KEY, FUNCTIONS_URL, find_profile
from shared.errors import SettingsError

ENDPOINTS = {
    "blob": "http://127.0.0.1:10000/devstoreaccount1",
    "connection_string": "UseDevelopmentStorage=true",
    "functions": "http://127.0.0.1:7071/",
    "functions_key": "k",
    "batch": "http://127.0.0.1:7072",
    "batch_account": "local",
    "batch_key": "a2V5",
    "settings": {"NAMING": "append", "POOL_MAX_NODES": 3},
}


def local_cloud(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "endpoints.json").write_text(json.dumps(ENDPOINTS), encoding="utf-8")
    return folder


def test_a_running_local_cloud_under_data_is_found_without_being_named(tmp_path: Path) -> None:
    local_cloud(tmp_path / "data")
    profile = find_profile(None, {}, tmp_path)
    assert profile.settings().storage.connection_string == "UseDevelopmentStorage=true"
    assert profile.settings().pool.max_nodes == 3
    assert profile.functions_url == "http://127.0.0.1:7071"
    assert profile.functions_key == "k"


def test_a_named_folder_wins_over_the_environment(tmp_path: Path) -> None:
    local_cloud(tmp_path / "other")
    profile = find_profile("other", {"STORAGE_ACCOUNT_URL": "https://a.blob.core.windows.net"}, tmp_path)
    assert profile.name == "local cloud other"
    assert profile.settings().storage.account_url == ""


def test_the_environment_wins_over_a_local_cloud_that_was_not_asked_for(tmp_path: Path) -> None:
    local_cloud(tmp_path / "data")
    environ = {
        "STORAGE_ACCOUNT_URL": "https://a.blob.core.windows.net",
        "BATCH_ENDPOINT": "https://b.westeurope.batch.azure.com",
    }
    assert find_profile(None, environ, tmp_path).settings().storage.account_url == environ["STORAGE_ACCOUNT_URL"]


def test_a_profile_is_read_by_name_from_darkroom_toml(tmp_path: Path) -> None:
    (tmp_path / "darkroom.toml").write_text(
        '[profiles.prod]\nSTORAGE_ACCOUNT_URL = "https://p.blob.core.windows.net"\n'
        'BATCH_ENDPOINT = "https://p.westeurope.batch.azure.com"\nPOOL_MAX_NODES = 40\nPOOL_SPILL_OVER = true\n',
        encoding="utf-8",
    )
    settings = find_profile("prod", {}, tmp_path).settings()
    assert settings.pool.max_nodes == 40
    assert settings.pool.spill_over is True


def test_an_azd_environment_is_a_profile(tmp_path: Path) -> None:
    (tmp_path / ".azure" / "prod").mkdir(parents=True)
    (tmp_path / ".azure" / "prod" / ".env").write_text(
        "# written by azd\nSTORAGE_ACCOUNT_URL=\"https://p.blob.core.windows.net\"\nDARKROOM_FUNCTIONS_KEY='abc=='\n",
        encoding="utf-8",
    )
    profile = find_profile("prod", {}, tmp_path)
    assert profile.values["STORAGE_ACCOUNT_URL"] == "https://p.blob.core.windows.net"
    assert profile.values[FUNCTIONS_KEY] == "abc=="


def test_a_local_settings_file_is_a_profile(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text(
        json.dumps({"IsEncrypted": False, "Values": {FUNCTIONS_URL: "http://127.0.0.1:7071"}}), encoding="utf-8"
    )
    assert find_profile("local.settings.json", {}, tmp_path).functions_url == "http://127.0.0.1:7071"


def test_the_environment_variable_chooses_as_the_option_does(tmp_path: Path) -> None:
    local_cloud(tmp_path / "elsewhere")
    assert find_profile(None, {"DARKROOM_PROFILE": "elsewhere"}, tmp_path).name == "local cloud elsewhere"


@pytest.mark.parametrize(
    ("choice", "says"), [(None, "make up"), ("nobody", "darkroom.toml"), ("empty", "endpoints.json")]
)
def test_without_a_system_the_error_says_what_to_do(tmp_path: Path, choice: str | None, says: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=says):
        find_profile(choice, {"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path)
