"""A package on a node: unpacked once, whole or not at all, by any number of tasks, and clear about what is wrong."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from darkroom.deploy import bootstrap
from darkroom.deploy.package import NodePython, Package, assemble

HERE = NodePython(
    version=f"{sys.version_info.major}.{sys.version_info.minor}", machine=platform.machine(), platforms=()
)
WORKER = """
import os, sys
print("worker", sys.argv[1:], os.environ["DARKROOM_MANIFEST"], sys.path[0])
if sys.argv[1:] == ["wait"]:
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    print("ready", os.getpid(), flush=True)
    signal.pause()
"""
LIBRARIES = ("aiohttp.py", "azure/identity/__init__.py", "azure/identity/aio.py")


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A package with a worker that tells how it was started, and stand-ins for its libraries."""
    root, site = tmp_path / "root", tmp_path / "site"
    for name, text in (
        ("worker/__init__.py", ""),
        ("worker/__main__.py", WORKER),
        ("worker/node.py", "import aiohttp"),
        ("worker/storage.py", ""),
        ("worker/conversion.py", ""),
        ("worker/native.py", "def load(): return None"),
        ("shared/__init__.py", ""),
        ("worker/notes.txt", "left out"),
        ("worker/__pycache__/old.py", "left out"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name in LIBRARIES:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    return assemble(root, site, tmp_path, HERE)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a task gets, and nothing of this process."""
    shared = tmp_path / "shared"
    shared.mkdir()
    return {"AZ_BATCH_NODE_SHARED_DIR": str(shared), "DARKROOM_MANIFEST": "sealed/m.json", "PATH": os.defpath}


def run(package: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The task's command, to its end."""
    command = [sys.executable, str(package), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def installed(environment: dict[str, str]) -> list[Path]:
    """Folders of unpacked packages on the node."""
    return [path for path in (Path(environment["AZ_BATCH_NODE_SHARED_DIR"]) / "darkroom").iterdir() if path.is_dir()]


def test_the_package_becomes_the_worker(package: Package, environment: dict[str, str]) -> None:
    """A task's command unpacks the package and runs the worker with the task's environment, from the unpacked code."""
    done = run(package.path, environment, "one", "two")
    assert done.returncode == 0, done.stderr
    (home,) = installed(environment)
    assert done.stdout.split() == ["worker", "['one',", "'two']", "sealed/m.json", str(home / "app")]


def test_the_tasks_own_folder_is_no_place_for_modules(package: Package, environment: dict[str, str]) -> None:
    """A file beside the package that is named like a library is not imported."""
    (package.path.parent / "worker.py").write_text("raise SystemExit('fooled')", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, package.path.name],
        cwd=package.path.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_only_code_is_packed(package: Package) -> None:
    """Caches and stray files stay behind."""
    with zipfile.ZipFile(package.path) as archive:
        names = set(archive.namelist())
    assert {"__main__.py", "package.json", "app/worker/__main__.py", "site/aiohttp.py"} <= names
    assert not any("notes.txt" in name or "__pycache__" in name for name in names)


def test_the_same_content_has_the_same_name(package: Package, tmp_path: Path) -> None:
    """The name follows from what is inside: packed again it is the same, and with a changed line another."""
    (tmp_path / "again").mkdir()
    again = assemble(tmp_path / "root", tmp_path / "site", tmp_path / "again", HERE)
    assert (again.blob, again.path.read_bytes()) == (package.blob, package.path.read_bytes())
    (tmp_path / "root" / "worker" / "__init__.py").write_text("x = 1\n", encoding="utf-8")
    assert assemble(tmp_path / "root", tmp_path / "site", tmp_path, HERE).blob != package.blob


def test_preparing_proves_that_the_worker_would_start(package: Package, environment: dict[str, str]) -> None:
    """The pool's start task unpacks and imports, and does not start work."""
    done = run(package.path, environment, "--prepare")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "worker/native: not for this machine, so PNGs take longer\n"
    (home,) = installed(environment)
    assert (home / bootstrap.READY).exists()


def test_preparing_fails_when_a_library_is_missing(
    package: Package, environment: dict[str, str], tmp_path: Path
) -> None:
    """A node that could not run tasks is not made ready."""
    (tmp_path / "site" / "aiohttp.py").unlink()
    broken = assemble(tmp_path / "root", tmp_path / "site", tmp_path, HERE)
    done = run(broken.path, environment, "--prepare")
    assert done.returncode != 0
    assert "aiohttp" in done.stderr


def test_many_tasks_at_once_unpack_once(package: Package, environment: dict[str, str]) -> None:
    """Eight tasks that start together on a fresh node all run, from one folder."""
    started = [
        subprocess.Popen(
            [sys.executable, str(package.path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    outcomes = [(*process.communicate(timeout=60), process.returncode) for process in started]
    assert [(code, err) for _, err, code in outcomes] == [(0, "")] * 8
    assert len({out for out, _, _ in outcomes}) == 1
    assert len(installed(environment)) == 1


def test_a_half_unpacked_package_is_unpacked_again(package: Package, environment: dict[str, str]) -> None:
    """A task that was killed while it unpacked leaves nothing that a later one would take for whole."""
    half = Path(environment["AZ_BATCH_NODE_SHARED_DIR"]) / "darkroom" / package.digest
    (half / "app" / "worker").mkdir(parents=True)
    done = run(package.path, environment)
    assert done.returncode == 0, done.stderr


def test_it_is_not_unpacked_twice(package: Package, environment: dict[str, str]) -> None:
    """A later task finds the package as it is."""
    run(package.path, environment)
    (home,) = installed(environment)
    before = home.stat().st_ino
    run(package.path, environment)
    assert [path.stat().st_ino for path in installed(environment)] == [before]


def test_a_signal_reaches_the_worker(package: Package, environment: dict[str, str]) -> None:
    """The worker takes the place of the process that Batch started, so that Batch's SIGTERM is the worker's."""
    process = subprocess.Popen(
        [sys.executable, str(package.path), "wait"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert lines[1].split() == ["ready", str(process.pid)]
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=30) == 3


def _tampered(package: Package, tmp_path: Path, name: str, content: bytes) -> Path:
    changed = tmp_path / package.blob.replace("worker-", "changed-")
    with zipfile.ZipFile(package.path) as source, zipfile.ZipFile(changed, "w") as target:
        for member in source.namelist():
            target.writestr(member, content if member == name else source.read(member))
    return changed


def test_changed_content_is_refused(package: Package, environment: dict[str, str], tmp_path: Path) -> None:
    """Code that is not what was built is not run, and the message says what to do."""
    changed = _tampered(package, tmp_path, "app/worker/__main__.py", b"print('other')")
    done = run(changed, environment)
    assert done.returncode == bootstrap.EX_CONFIG
    assert "publish it again" in done.stderr
    assert installed(environment) == []


def test_a_node_with_another_python_is_told(package: Package, environment: dict[str, str], tmp_path: Path) -> None:
    """A package for another Python says so at once, with both versions."""
    facts = json.dumps({"digest": package.digest, "python": "3.99", "machine": platform.machine()}).encode()
    done = run(_tampered(package, tmp_path, bootstrap.FACTS, facts), environment)
    assert done.returncode == bootstrap.EX_CONFIG
    assert "built for Python 3.99" in done.stderr


def test_without_a_shared_folder_it_says_what_is_missing(package: Package) -> None:
    """By hand, outside Batch, the message names the variable."""
    done = run(package.path, {"PATH": os.defpath})
    assert done.returncode == bootstrap.EX_CONFIG
    assert "AZ_BATCH_NODE_SHARED_DIR" in done.stderr
