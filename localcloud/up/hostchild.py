"""The Functions host as a child: ours, or Core Tools' `func start` where that is installed."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.child import ChildSpec
from localcloud.errors import StartError

HOSTS = ("auto", "localcloud", "func")
_READY = re.compile(r"^ready (http://\S+)$", re.MULTILINE)
_FUNC_READY = re.compile(r"^(Functions:)\s*$", re.MULTILINE)  # Core Tools lists the functions when the host runs
_FUNC_START_SECONDS = 180.0


def find_func(choice: str) -> str | None:
    """The path of `func` when `choice` ("auto", "localcloud", "func") means it. Raises StartError."""
    if choice == "localcloud":
        return None
    func = shutil.which("func")
    if func is None and choice == "func":
        raise StartError("`func` (Azure Functions Core Tools) is not on PATH: install it, or pass --host localcloud")
    return func


def host_child(
    *,
    func: str | None,
    app_root: Path,
    port: int,
    keys: Path,
    log: Path,
    settings: Mapping[str, str],
    speed: float,
) -> ChildSpec:
    """The child that serves the app. The process environment wins over `settings`, as with `func`."""
    environment = {**settings, **os.environ}
    if func is not None:
        bin_folder = str(Path(sys.executable).parent)
        environment["PATH"] = bin_folder + os.pathsep + environment.get("PATH", "")
        environment["VIRTUAL_ENV"] = sys.prefix
        environment.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
        return ChildSpec(
            name="functions",
            command=[func, "start", "--port", str(port)],
            environment=environment,
            folder=app_root,
            log=log,
            ready=_FUNC_READY,
            ready_seconds=_FUNC_START_SECONDS,
        )
    package_root = str(Path(__file__).parents[2])
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = package_root + (os.pathsep + path if path else "")
    return ChildSpec(
        name="functions",
        command=[
            *(sys.executable, "-m", "localcloud.functions", "--leashed", "--app-root", str(app_root)),
            *("--port", str(port), "--keys", str(keys), "--speed", f"{speed:g}"),
        ],
        environment=environment,
        folder=app_root,
        log=log,
        ready=_READY,
    )
