"""What is deployed as the function app: the files that `.funcignore` leaves, and `requirements.txt` alone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.infra.conftest import ROOT

FUNCTIONS = {"ingest", "dispatch", "collect", "sweep"}
SETTINGS = {
    "STORAGE_ACCOUNT_URL": "https://account.blob.core.windows.net",
    "BATCH_ENDPOINT": "https://account.westeurope.batch.azure.com",
}
INDEX = """
import json, sys
import function_app
functions = {f.get_function_name(): [b.type for b in f.get_bindings()] for f in function_app.app.get_functions()}
loaded = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"functions": functions, "loaded": loaded, "path": function_app.__file__}))
"""

pytestmark = pytest.mark.timeout(300)


def deployed_files() -> list[str]:
    """Tracked files that `.funcignore` does not name; it has gitignore's rules."""

    def git(*arguments: str) -> set[str]:
        done = subprocess.run(["git", "ls-files", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
        return set(done.stdout.splitlines())

    return sorted(git("--cached") - git("--cached", "--ignored", "--exclude-from=.funcignore"))


@pytest.fixture(scope="module")
def python() -> Path:
    """An environment with `requirements.txt` and nothing else; kept under .setup/ while the pins are the same."""
    pins = (ROOT / "requirements.txt").read_bytes()
    label = hashlib.sha256(pins + sys.version.encode()).hexdigest()[:16]
    home = ROOT / ".setup" / f"app-{label}"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes side by side share it
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            venv.create(home, with_pip=True)
            command = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            subprocess.run([*command, "--require-hashes", "--requirement", str(ROOT / "requirements.txt")], check=True)
            (home / "ready").touch()
    return home / "bin" / "python"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The deployed files in a directory of their own."""
    for name in deployed_files():
        target = tmp_path / "app" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return tmp_path / "app"


def test_only_what_the_app_needs_is_deployed() -> None:
    """The app's own code, its pins and its host's settings; no tests, tools, templates or local settings."""
    files = deployed_files()
    assert {"function_app.py", "host.json", "requirements.txt"} <= set(files)
    assert {name.split("/")[0] for name in files} <= {
        *("function_app.py", "host.json", "requirements.txt"),
        *("pipeline", "shared"),
    }
    assert [name for name in files if "local.settings" in name] == []


def test_it_indexes_with_its_requirements_alone(package: Path, python: Path) -> None:
    """In a clean environment the app imports and lists its functions, with nothing of the worker or the local cloud."""
    done = subprocess.run(
        [str(python), "-c", INDEX],
        cwd=package,
        env={"PATH": os.defpath, **SETTINGS},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["functions"].keys() >= FUNCTIONS
    assert "eventGridTrigger" in found["functions"]["ingest"]
    assert Path(found["path"]).parent == package
    assert {"worker", "localcloud", "darkroom"} & set(found["loaded"]) == set()


def test_microsofts_runtime_indexes_what_is_deployed(package: Path) -> None:
    """Not only the checkout: the deployed files, in the library that the Functions host runs."""
    done = subprocess.run(
        [str(ROOT / ".venv-runtime/bin/python"), str(ROOT / "tests/runtime/index_and_invoke.py"), str(package)],
        cwd=package,
        env={"PATH": os.defpath, **SETTINGS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = json.loads(done.stdout.splitlines()[0]) if done.stdout else {"failure": done.stderr}
    assert told["failure"] == ""
    assert set(told["functions"]) >= FUNCTIONS


def test_its_packages_are_not_named_like_the_hosts_own(package: Path) -> None:
    """Microsoft's Python worker has modules of these names, which come first, or which an app must not hide."""
    names = {path.name for path in package.iterdir()}
    assert names & {"worker", "grpc", "google", "azure"} == set()
