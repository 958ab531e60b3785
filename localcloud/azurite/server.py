"""How Azurite is started: real, on disk, with the hook that tells which blobs were written."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from localcloud.child import ChildSpec
from localcloud.errors import StartError
from localcloud.loopback import HOST

_OLDEST_NODE = 20
_MAIN = Path("azurite/dist/src/blob/main.js")
_READY = re.compile(r"successfully listens on http://127\.0\.0\.1:(\d+)")


def find_node() -> str:
    """The path of Node ≥ 20. Raises StartError when there is none."""
    node = shutil.which("node")
    if node is None:
        raise StartError(
            f"Node was not found on PATH: Azurite (storage) needs Node {_OLDEST_NODE} or newer; see nodejs.org"
        )
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - `node` was found on PATH
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(f"{node} does not run ({error}): install Node {_OLDEST_NODE} or newer") from error
    found = re.match(r"v(\d+)\.", said.stdout)
    if found is None or int(found.group(1)) < _OLDEST_NODE:
        raise StartError(f"{node} is {said.stdout.strip()}: Azurite needs Node {_OLDEST_NODE} or newer")
    return node


def find_azurite(*roots: Path) -> Path:
    """Azurite's blob service under the first of `roots` that has it. Raises StartError when none has."""
    for root in roots:
        main = root / "node_modules" / _MAIN
        if main.is_file():
            return main
    raise StartError(f"Azurite is not installed in {roots[0]}/node_modules: run `make setup` (or `npm ci`)")


def azurite(*, node: str, main: Path, data: Path, writes: Path, log: Path, port: int) -> ChildSpec:
    """The child that serves blobs from `data` on `port` (0: any) and notes each written blob in `writes`.

    The API version check is off since the current SDKs speak a newer version than Azurite knows.
    """
    data.mkdir(parents=True, exist_ok=True)
    writes.mkdir(parents=True, exist_ok=True)
    hook = Path(__file__).with_name("hook.js")
    options = ["--disableTelemetry", "--skipApiVersionCheck", "--silent", "--location", str(data)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AZURITE_")}
    return ChildSpec(
        name="azurite",
        command=[
            *(node, "--no-warnings", "--require", str(hook), str(main)),
            *("--blobHost", HOST, "--blobPort", str(port), *options),
        ],
        environment=environment | {"LOCALCLOUD_WRITES": str(writes)},
        folder=data,
        log=log,
        ready=_READY,
    )
