"""An Azurite of a benchmark's own: in memory, on a free port, ended with the block."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Azurite:
    """A context manager; `endpoint` and `connection_string` are set once it is ready."""

    def __init__(self, node_modules: Path) -> None:
        self._main = node_modules / "azurite/dist/src/blob/main.js"
        self.endpoint = ""
        self.connection_string = ""

    def __enter__(self) -> Azurite:
        node = shutil.which("node")
        if node is None:
            raise SystemExit("Node 20 or newer must be on PATH")
        options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
        quiet = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        self._process = subprocess.Popen(
            [node, "--no-warnings", str(self._main), *options, *quiet], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"successfully listens on (http://127\.0\.0\.1:\d+)", line):
                self.endpoint = f"{found.group(1)}/{ACCOUNT}"
                account = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint};"
                self.connection_string = f"DefaultEndpointsProtocol=http;{account}"
                return self
        raise SystemExit(f"Azurite ended with {self._process.wait()} before it was ready")

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        if self._process.stdout is not None:
            self._process.stdout.close()
