"""App settings: where they come from and who wins; host.json; keys."""

import json
import logging
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from localcloud.errors import StartError
from localcloud.functions.hostjson import read_host_json
from localcloud.functions.keys import load_keys
from localcloud.functions.settings import SettingError, apply_settings, local_settings, resolve


def _local_settings(folder: Path, document: object) -> None:
    (folder / "local.settings.json").write_text(json.dumps(document))


def test_the_environment_wins_over_local_settings(tmp_path: Path) -> None:
    _local_settings(tmp_path, {"IsEncrypted": False, "Values": {"A": "file", "B": "file"}})
    environment = {"A": "environment"}
    apply_settings(environment, tmp_path, port=7071)
    assert (environment["A"], environment["B"]) == ("environment", "file")
    assert environment["WEBSITE_HOSTNAME"] == "localhost:7071"
    assert environment["FUNCTIONS_WORKER_RUNTIME"] == "python"


def test_no_local_settings_are_no_error(tmp_path: Path) -> None:
    assert local_settings(tmp_path) == {}


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"Values": {"A": "1"}}, "encrypted"),  # absent means true
        ({"IsEncrypted": True, "Values": {}}, "encrypted"),
        ({"IsEncrypted": False, "Values": {"A": 1}}, "must be a string"),
        ({"IsEncrypted": False, "Values": []}, "object"),
        ([], "object"),
    ],
)
def test_wrong_local_settings_stop_the_start(tmp_path: Path, document: object, complaint: str) -> None:
    _local_settings(tmp_path, document)
    with pytest.raises(StartError, match=complaint):
        local_settings(tmp_path)


def test_percent_names_are_replaced_by_settings() -> None:
    assert resolve("0 %MINUTES% * * * *", {"MINUTES": "*/5"}) == "0 */5 * * * *"


def test_a_percent_name_without_a_setting_is_named() -> None:
    with pytest.raises(SettingError, match="DISPATCH_SCHEDULE"):
        resolve("%DISPATCH_SCHEDULE%", {})


def _host_json(folder: Path, document: object) -> None:
    (folder / "host.json").write_text(json.dumps(document))


def test_host_json_has_azures_defaults(tmp_path: Path) -> None:
    _host_json(tmp_path, {"version": "2.0"})
    config = read_host_json(tmp_path)
    assert config.route_prefix == "api"
    assert config.function_timeout == timedelta(minutes=30)
    assert config.level("Function.x") == logging.INFO


def test_host_json_is_read(tmp_path: Path) -> None:
    levels = {"default": "Warning", "Function": "Error", "Function.a": "Debug"}
    _host_json(
        tmp_path,
        {
            "version": "2.0",
            "functionTimeout": "00:10:00",
            "extensions": {"http": {"routePrefix": ""}},
            "logging": {"logLevel": levels},
        },
    )
    config = read_host_json(tmp_path)
    assert config.route_prefix == ""
    assert config.function_timeout == timedelta(minutes=10)
    assert [config.level(c) for c in ("Function.a", "Function.b", "Host")] == [
        logging.DEBUG,
        logging.ERROR,
        logging.WARNING,
    ]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "version"),
        ({"version": "2.0", "functionTimeout": "ten"}, "functionTimeout"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}, "routePrefix"),
        ({"version": "2.0", "extensions": []}, "no object"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "Loud"),
    ],
)
def test_a_wrong_host_json_stops_the_start(tmp_path: Path, document: object, complaint: str) -> None:
    _host_json(tmp_path, document)
    with pytest.raises(StartError, match=complaint):
        read_host_json(tmp_path)


def test_a_folder_without_host_json_is_no_app(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no function app"):
        read_host_json(tmp_path)


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    first = load_keys(path)
    assert load_keys(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len({first.master, first.default, first.event_grid}) == 3


def test_each_key_opens_only_its_doors(tmp_path: Path) -> None:
    keys = load_keys(tmp_path / "keys.json")
    assert keys.opens_function("f", keys.default)
    assert keys.opens_function("f", keys.master)
    assert not keys.opens_function("f", keys.event_grid)
    assert not keys.opens_function("f", "")
    assert keys.opens_admin(keys.master)
    assert not keys.opens_admin(keys.default)
    assert keys.opens_event_grid(keys.event_grid)
    assert not keys.opens_event_grid(keys.default)


def test_a_torn_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(StartError, match=r"keys\.json"):
        load_keys(tmp_path / "keys.json")
