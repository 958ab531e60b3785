"""Runs on a node: unpacks the worker's package, once, and becomes the worker.

This file is the package's `__main__.py`, so a task's command is `python3 worker-HASH.pyz`, without a shell. It uses
nothing but the standard library of the node's Python and never the network: a boot neither hangs on an index nor
changes with it. Any number of tasks may start at once: one unpacks, the others wait for it.

`--prepare` (the pool's start task) unpacks and proves that everything imports, without starting the worker.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

FACTS = "package.json"
READY = "ready"
LOCK_SECONDS = 180.0
"""Longest wait for another task that unpacks. Unpacking takes seconds."""

EX_CONFIG = 78
"""sysexits.h: this package cannot run on this node, and a retry would not mend it."""

_PYTHON = (sys.executable, "-S")
"""Without the node's own site-packages: only what is in the package is there to import."""

_PROOF = """
import worker.node, worker.storage, worker.conversion, azure.identity.aio
from worker import native
print("worker/native:", "loaded" if native.load() else "not for this machine, so PNGs take longer")
"""
"""With these, every library that a task needs is loaded; the start task's stdout.txt tells of the one that may lack."""


class NodeError(Exception):
    """This node cannot run the package. The message says what to do."""


def main(arguments: list[str], *, package: Path) -> int:
    """Unpack if need be; then start the worker with `arguments`, or with `--prepare` only prove that it would start."""
    try:
        home = install(package)
    except NodeError as error:
        sys.stderr.write(f"darkroom: {package.name}: {error}\n")
        return EX_CONFIG
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(home / "app"), str(home / "site"))),
        "PYTHONSAFEPATH": "1",  # the task's folder, which holds what was fetched for it, is no place for modules
        "PYTHONNOUSERSITE": "1",
    }
    if arguments == ["--prepare"]:
        return subprocess.run([*_PYTHON, "-c", _PROOF], env=environment, check=False).returncode  # noqa: S603 (ours)
    return os.execve(sys.executable, [*_PYTHON, "-m", "worker", *arguments], environment)  # noqa: S606 (no shell)


def install(package: Path) -> Path:
    """The folder with the unpacked package, unpacked now if it was not. Raises NodeError."""
    shared = os.environ.get("AZ_BATCH_NODE_SHARED_DIR", "")
    if not shared:
        raise NodeError("AZ_BATCH_NODE_SHARED_DIR is not set; by hand, set it to a folder that only you can write")
    with zipfile.ZipFile(package) as archive:
        facts = json.loads(archive.read(FACTS))
        _check_node(facts)
        base = Path(shared) / "darkroom"
        home = base / str(facts["digest"])
        if (home / READY).exists():
            return home
        before = os.umask(0)
        try:
            base.mkdir(mode=0o1777, exist_ok=True)  # tasks may run as users of their own
            os.umask(0o022)
            with _only_one(base / f"{home.name}.lock"):
                if not (home / READY).exists():
                    _unpack(archive, facts["digest"], home)
        except OSError as error:
            raise NodeError(f"cannot unpack into {base}: {error}") from error
        finally:
            os.umask(before)
        return home


def digest(members: Iterable[tuple[str, bytes]]) -> str:
    """The hash of a package's content: of its members' names and bytes, not of how they were compressed."""
    total = hashlib.sha256()
    for name, content in sorted(members):
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()[:32]


def _check_node(facts: dict[str, str]) -> None:
    here = f"Python {sys.version_info.major}.{sys.version_info.minor} on {platform.machine()}"
    wanted = f"Python {facts['python']} on {facts['machine']}"
    if here != wanted:
        raise NodeError(f"it was built for {wanted}, and this node has {here}: see 'Node images' in docs/azure.md")


def _unpack(archive: zipfile.ZipFile, expected: str, home: Path) -> None:
    """Into a folder beside `home`, which then takes its name: whoever sees `home` sees all of it."""
    found = digest((name, archive.read(name)) for name in archive.namelist() if name != FACTS)
    if found != expected:
        raise NodeError(f"its content is not what it was built with ({found}, not {expected}): publish it again")
    fresh = home.with_name(f"{home.name}.{os.getpid()}")
    shutil.rmtree(home, ignore_errors=True)  # of a run that was killed half-way
    try:
        archive.extractall(fresh)
        compileall.compile_dir(fresh, quiet=2, workers=1)
        (fresh / READY).touch()
        fresh.rename(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Held by one process of the node at a time; let go by the kernel when the process dies."""
    import fcntl  # noqa: PLC0415 (nodes run Linux; the package is also built where there is none)

    before = os.umask(0)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    os.umask(before)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NodeError(f"another task has held {lock} for {LOCK_SECONDS:.0f} s; reboot the node") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], package=Path(__file__).resolve().parent))
