"""The command line as a whole: help, exit codes, errors without tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darkroom.commands import TABLE
from darkroom.failure import CommandError, ExitCode, explain
from shared.errors import RetryableError, SettingsError
from tests.darkroom.places import ROOT, Cli, Place


def test_help_names_every_command_and_loads_none_of_them() -> None:
    """Neither Azure's SDKs nor aiohttp or Pillow are imported for `darkroom --help`."""
    script = (
        "import sys\nfrom darkroom.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        "    print([m for m in ('azure', 'aiohttp', 'PIL', 'pipeline') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    assert all(name in done.stdout for name in TABLE)


def test_an_interrupt_while_the_command_line_loads_is_one_line() -> None:
    script = (
        "import sys\nfrom darkroom.__main__ import main\n"
        "class Interrupting:\n    def find_spec(self, name, path, target=None):\n"
        "        if name == 'typer':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\nmain(['status'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "darkroom: Interrupted.\n")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_command_loads_and_explains_itself(cli: Cli, name: str) -> None:
    ran = cli(name, "--help")
    assert ran.code == ExitCode.OK, ran.err
    assert f"darkroom {name}" in ran.out
    assert "--install-completion" not in ran.out


def test_completion_is_offered_for_the_shells(cli: Cli) -> None:
    """The names come without loading any command."""
    script = "import sys\nfrom darkroom.__main__ import main\nmain(['st'])"
    environ = os.environ | {"_DARKROOM_COMPLETE": "complete_bash", "COMP_WORDS": "darkroom st", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["status"]


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    ran = cli("develop")
    assert ran.code == ExitCode.USAGE
    assert "No such command" in ran.err


def test_without_a_system_a_command_says_so_in_a_line_and_exits_3(cli: Cli) -> None:
    ran = cli("fetch", "out")
    assert ran.code == ExitCode.SETTINGS
    assert "make up" in ran.err
    assert "Traceback" not in ran.err


def test_a_profile_that_is_not_there_is_no_reason_to_look_at_its_settings(cli: Cli) -> None:
    ran = cli("config", "--profile", "nowhere")
    assert ran.code == ExitCode.SETTINGS
    assert "nowhere" in ran.err
    assert "shows every setting" not in ran.err


def test_a_file_that_cannot_be_written_is_named_in_words() -> None:
    failure = explain(FileNotFoundError(2, "No such file or directory", "gone/report.csv"))
    assert failure.message == "gone/report.csv: No such file or directory"


def test_a_storage_that_does_not_answer_is_exit_4(cli: Cli, tmp_path: Path) -> None:
    environ = {
        "STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        "BlobEndpoint=http://127.0.0.1:9/devstoreaccount1;",
        "BATCH_ENDPOINT": "http://127.0.0.1:9",
    }
    ran = cli("fetch", tmp_path / "out", environ=environ)
    assert ran.code == ExitCode.UNREACHABLE
    assert "No answer" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.azurite
def test_a_refused_key_is_exit_5(cli: Cli, place: Place, tmp_path: Path) -> None:
    wrong = place.environ["STORAGE_CONNECTION_STRING"].replace("AccountKey=Eby8", "AccountKey=Aby8")
    ran = cli("fetch", tmp_path / "out", environ=place.environ | {"STORAGE_CONNECTION_STRING": wrong})
    assert ran.code == ExitCode.DENIED


@pytest.mark.azurite
def test_a_missing_container_is_exit_6(cli: Cli, place: Place, tmp_path: Path) -> None:
    ran = cli("fetch", tmp_path / "out", environ=place.environ | {"CONVERTED_CONTAINER": "no-such-container"})
    assert ran.code == ExitCode.NOT_FOUND


def test_an_unknown_error_ends_in_a_line_and_a_file() -> None:
    try:
        os.environ["NO SUCH VARIABLE"]
    except KeyError as error:
        failure = explain(error)
    assert failure.code is ExitCode.UNEXPECTED
    path = Path(failure.hint.split("details are in ", 1)[1].split(";", 1)[0])
    try:
        assert "KeyError: 'NO SUCH VARIABLE'" in path.read_text(encoding="utf-8")
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("NAMING: wrong"), ExitCode.SETTINGS),
        (RetryableError("away"), ExitCode.UNREACHABLE),
        (CommandError("no", code=ExitCode.TIMEOUT), ExitCode.TIMEOUT),
        (ImportError("no module", name="psutil"), ExitCode.SETTINGS),
        (ConnectionRefusedError("refused"), ExitCode.UNREACHABLE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_each_family_of_errors_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert explain(error).code is code


def test_config_shows_values_and_sources_and_hides_secrets(cli: Cli) -> None:
    environ = {
        "STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true",
        "BATCH_ENDPOINT": "http://127.0.0.1:1",
        "BATCH_ACCOUNT": "local",
        "BATCH_KEY": "c2VjcmV0",
    }
    ran = cli("config", "--json", environ=environ)
    assert ran.code == ExitCode.OK
    assert "c2VjcmV0" not in ran.out
    rows = {row["name"]: row for row in json.loads(ran.out)["settings"]}
    assert rows["BATCH_ENDPOINT"]["source"] == "environment"
    assert rows["NAMING"]["source"] == "default"
    assert rows["NAMING"]["allowed"] == "replace or append"


def test_config_says_when_no_setting_has_such_a_name(cli: Cli) -> None:
    environ = {"STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true", "BATCH_ENDPOINT": "http://127.0.0.1:1"}
    assert "No setting has NOSUCH in its name" in cli("config", "NOSUCH", environ=environ).out


def test_config_exits_3_and_names_the_key_when_a_setting_is_wrong(cli: Cli) -> None:
    environ = {"STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true", "POOL_MAX_NODES": "many"}
    ran = cli("config", environ=environ)
    assert ran.code == ExitCode.SETTINGS
    assert "POOL_MAX_NODES: 'many' is not allowed" in ran.out
