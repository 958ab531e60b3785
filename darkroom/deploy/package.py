"""The worker's package: our code and its pinned libraries for the nodes' Python, one file named by its content.

Built where the deployment runs, so that a node installs nothing from anywhere. The same sources and pins give the same
name.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.deploy import bootstrap
from shared.errors import PermanentError
from worker.native.build import build as compile_library
from worker.native.build import target

CODE = ("shared", "worker")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED = {"__pycache__", "bin"}


class PackageError(PermanentError):
    """The package cannot be built; the message holds what pip said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePython:
    """What the nodes run, as wheels name it."""

    version: str
    """Like `3.12`."""
    machine: str
    platforms: Sequence[str]


UBUNTU_24_04 = NodePython(
    version="3.12",
    machine="x86_64",
    platforms=("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
)
"""The pool's image in `infra/modules/pool.bicep`: Python 3.12, glibc 2.39."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A built package."""

    path: Path
    digest: str

    @property
    def blob(self) -> str:
        """Its name in the scripts container, and the name of the file that a task gets."""
        return f"worker-{self.digest}.pyz"


def build(root: Path, out: Path, node: NodePython = UBUNTU_24_04) -> Package:
    """Build the package of the checkout at `root` into the folder `out`.

    Fetches wheels from the index that pip is set up for, checked against the hashes in `worker/requirements.txt`, and
    compiles the worker's library for the node. Raises PackageError when a wheel is missing for that Python, or is not
    the one that was pinned, and when the compiler fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        site, compiled = Path(scratch) / "site", Path(scratch) / "compiled"
        _fetch(root / "worker" / "requirements.txt", site, node)
        _compile(compiled, node)
        return assemble(root, site, out, node, compiled=compiled)


def assemble(root: Path, site: Path, out: Path, node: NodePython, *, compiled: Path | None = None) -> Package:
    """Pack the code of the checkout at `root` and the installed libraries in `site` into one file in `out`.

    What is in the folder `compiled` goes where `worker.native` looks for it.
    """
    members = dict(_code(root))
    members |= {f"app/worker/native/{name}": content for name, content in _files(compiled)} if compiled else {}
    members |= {f"site/{name}": content for name, content in _files(site)}
    members["__main__.py"] = Path(bootstrap.__file__).read_bytes()
    digest = bootstrap.digest(members.items())
    facts = {"digest": digest, "python": node.version, "machine": node.machine}
    members[bootstrap.FACTS] = json.dumps(facts).encode()
    package = Package(path=out / f"worker-{digest}.pyz", digest=digest)
    _write(package.path, members)
    return package


def _fetch(requirements: Path, site: Path, node: NodePython) -> None:
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"),
        *("--require-hashes", "--only-binary=:all:", "--target", str(site)),
        *("--implementation", "cp", "--python-version", node.version),
        *(word for platform in node.platforms for word in ("--platform", platform)),
        *("--requirement", str(requirements)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own arguments)
    if done.returncode:
        raise PackageError(
            f"pip could not bring the worker's libraries for Python {node.version}:\n{done.stderr.strip()}"
        )


def _compile(folder: Path, node: NodePython) -> None:
    wanted = target("linux", node.machine)
    if wanted is None:
        return  # the worker does without
    folder.mkdir()
    try:
        compile_library(wanted, folder)
    except subprocess.CalledProcessError as error:
        raise PackageError(f"the compiler failed on worker/native/strips.c:\n{error.stderr.strip()}") from error


def _code(root: Path) -> Iterator[tuple[str, bytes]]:
    for folder in CODE:
        for name, content in _files(root / folder):
            if name.endswith((".py", ".json")):
                yield f"app/{folder}/{name}", content


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not _SKIPPED.intersection(inside.parts):
            yield inside.as_posix(), path.read_bytes()


def _write(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
