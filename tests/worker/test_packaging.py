"""The worker alone: from `worker/` and `shared/`, from a zip, in a venv with nothing but its own requirements."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.worker import pngs
from tests.worker.jpegs import jpeg

ROOT = Path(__file__).resolve().parents[2]


def copied(folder: Path) -> Path:
    """Only what a node gets."""
    for room in ("worker", "shared"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def converts(python: Path | str, pythonpath: Path, work: Path) -> None:
    """That `python -m worker convert` works, run from an empty folder."""
    work.mkdir()
    (work / "a.jpg").write_bytes(jpeg())
    done = subprocess.run(
        [str(python), "-m", "worker", "convert", "a.jpg", "a.png"],
        cwd=work,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(pythonpath)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    pngs.chunks((work / "a.png").read_bytes())


def test_the_worker_runs_from_a_zip(tmp_path: Path) -> None:
    """Its converting processes start from there, too."""
    copied(tmp_path / "tree")
    package = tmp_path / "worker.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in sorted((tmp_path / "tree").rglob("*.py")):
            archive.write(path, path.relative_to(tmp_path / "tree"))
    converts(sys.executable, package, tmp_path / "work")


@pytest.mark.timeout(300)
def test_the_worker_needs_its_own_requirements_and_nothing_else(tmp_path: Path) -> None:
    """A clean venv, made from the pinned file with its hashes; storage and identity import there as well."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*install, "-r", str(ROOT / "worker/requirements.txt")], check=True, timeout=280)
    package = copied(tmp_path / "package")
    converts(python, package, tmp_path / "work")
    imports = "import worker.node, worker.storage, azure.identity.aio, isal"
    subprocess.run([str(python), "-W", "error", "-c", imports], check=True, cwd=package, timeout=100)
