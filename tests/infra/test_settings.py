"""What the application reads and what the templates set are the same, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.deploy.render import LOCAL_ONLY, WIRED, choices_of, known_settings, render, write
from localcloud.batch.autoscale import compile_formula
from pipeline.scaling import build_formula
from shared.app_settings import PoolSettings, read_app_settings
from shared.errors import SettingsError
from shared.settings import read
from tests.infra.bicep.evaluate import Deployment
from tests.infra.conftest import INFRA

READ_BY_OTHERS = {
    "AZURE_CLIENT_ID": "azure-identity: which user-assigned identity DefaultAzureCredential uses",
    "AzureWebJobsStorage__accountName": "the Functions host",
    "AzureWebJobsStorage__credential": "the Functions host",
    "AzureWebJobsStorage__clientId": "the Functions host",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "the Functions host",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "the Functions host",
}


def app_settings(deployment: Deployment) -> dict[str, str]:
    """The function app's settings as the templates make them."""
    (found,) = [item for item in deployment.of("Microsoft.Web/sites/config") if item.name.endswith("/appsettings")]
    return dict(found.body["properties"])


def test_every_setting_that_the_application_reads_is_set(deployment: Deployment) -> None:
    """No setting is left to chance on Azure, except those that are for services on one machine."""
    assert set(known_settings()) - LOCAL_ONLY - app_settings(deployment).keys() == set()


def test_no_setting_is_set_that_nobody_reads(deployment: Deployment) -> None:
    """Every app setting has a reader: the application, or a named part of the platform."""
    assert app_settings(deployment).keys() - set(known_settings()) - READ_BY_OTHERS.keys() == set()


def test_no_key_is_set(deployment: Deployment) -> None:
    """Settings that hold keys, for services on one machine, are never set on Azure."""
    assert app_settings(deployment).keys() & LOCAL_ONLY == set()


def test_the_lists_of_special_settings_name_real_ones() -> None:
    """A setting that was renamed does not linger in the deployment's lists."""
    assert set(known_settings()) >= LOCAL_ONLY | WIRED


def test_the_application_starts_with_what_the_templates_set(deployment: Deployment) -> None:
    """The application's own checks accept the app settings."""
    settings = read_app_settings(app_settings(deployment))
    assert settings.storage.account_url.endswith(".blob")
    assert settings.batch.worker_identity_resource_id.startswith("/Microsoft.ManagedIdentity/")


def test_the_generated_files_are_in_step() -> None:
    """infra/generated/ is what infra/settings.json and the code give; else run `python -m darkroom.deploy render`."""
    rendered = render(choices_of(INFRA))
    assert (INFRA / "generated" / "settings.json").read_text(encoding="utf-8") == rendered.settings
    assert (INFRA / "generated" / "formula.txt").read_text(encoding="utf-8") == rendered.formula


def test_the_pools_formula_is_the_one_that_the_code_builds(deployment: Deployment) -> None:
    """Built from the same app settings, by the same function that dispatch calls; and it is a formula."""
    (pool,) = deployment.of("Microsoft.Batch/batchAccounts/pools")
    formula = pool.body["properties"]["scaleSettings"]["autoScale"]["formula"]
    assert formula == build_formula(read(PoolSettings, app_settings(deployment)))
    compile_formula(formula)


def test_the_pool_has_what_the_settings_say(deployment: Deployment) -> None:
    """Slots, VM size, interval and name agree with what the application believes."""
    (pool,) = deployment.of("Microsoft.Batch/batchAccounts/pools")
    settings = read_app_settings(app_settings(deployment))
    body = pool.body["properties"]
    assert pool.name.endswith(f"/{settings.batch.pool_id}")
    assert body["taskSlotsPerNode"] == settings.pool.slots_per_node
    assert body["vmSize"] == settings.pool.vm_size
    assert body["scaleSettings"]["autoScale"]["evaluationInterval"] == f"PT{settings.pool.evaluation_interval}M"


def test_choices_reach_settings_and_formula(tmp_path: Path) -> None:
    """A team's choice is in both generated files, which are written only when they differ."""
    (tmp_path / "settings.json").write_text('{"POOL_MAX_NODES": "77"}', encoding="utf-8")
    rendered = render(choices_of(tmp_path))
    assert '"POOL_MAX_NODES": "77"' in rendered.settings
    assert "cap = 77;" in rendered.formula
    assert len(write(rendered, tmp_path)) == 2
    assert write(rendered, tmp_path) == []


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"POOL_MAXNODES": "5"}, "no such settings: POOL_MAXNODES"),
        ({"POOL_MAX_NODES": "many"}, "POOL_MAX_NODES"),
        ({"WORKER_PROFILE": "fast"}, "WORKER_PROFILE"),
        ({"BATCH_KEY": "x"}, "not set there on Azure: BATCH_KEY"),
        ({"WORKER_PACKAGE": "x"}, "not set there on Azure: WORKER_PACKAGE"),
    ],
)
def test_a_wrong_choice_stops_the_deployment(choices: dict[str, str], complaint: str) -> None:
    """Before anything is deployed, and by the setting's name."""
    with pytest.raises(SettingsError, match=complaint):
        render(choices)


def test_choices_must_be_texts(tmp_path: Path) -> None:
    """A number where a text is wanted is told, with an example."""
    (tmp_path / "settings.json").write_text('{"POOL_MAX_NODES": 5}', encoding="utf-8")
    with pytest.raises(SettingsError, match="object of texts"):
        choices_of(tmp_path)
