"""The Batch service as a child."""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.child import ChildSpec
from localcloud.errors import ChildExitedError

_READY = re.compile(r"^ready (http://\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEndpoint:
    """Where a Batch account answers, and with which key."""

    url: str
    account: str
    key: str = field(repr=False)


def batch_child(
    *, data: Path, port: int, storage: str, log: Path, node_environment: Mapping[str, str], speed: float
) -> ChildSpec:
    """The child that serves Batch on `port` from `data`; its nodes' tasks start from `node_environment`.

    `storage` is the blob endpoint of the account's auto-storage.
    """
    package_root = str(Path(__file__).parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    node_options = [option for pair in node_environment.items() for option in ("--node-env", "=".join(pair))]
    return ChildSpec(
        name="batch",
        command=[
            *(sys.executable, "-m", "localcloud", "--leashed", "batch"),
            *("--port", str(port), "--data", str(data), "--speed", f"{speed:g}"),
            *("--auto-storage", storage, *node_options),
        ],
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        folder=data,
        log=log,
        ready=_READY,
    )


def read_batch_endpoint(data: Path) -> BatchEndpoint:
    """What the running service wrote about itself. Raises ChildExitedError."""
    path = data / "batch-endpoint.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return BatchEndpoint(url=document["endpoint"], account=document["account"], key=document["key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChildExitedError(f"the batch service left no readable {path}: {error!r}") from error
