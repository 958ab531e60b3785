"""An Azurite of a benchmark's own: in memory, on a free port, ended with the block.

With a log it notes every request there, so that what a program asks can be counted from outside it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


_READY = re.compile(r"successfully listens on (http://127\.0\.0\.1:\d+)")
_REQUEST = re.compile(r'"([A-Z]+) (\S+) HTTP/')
_START_SECONDS = 60.0


class Azurite:
    """A context manager; `endpoint` and `connection_string` are set once it is ready."""

    def __init__(self, node_modules: Path, *, log: Path | None = None) -> None:
        self._main = node_modules / "azurite/dist/src/blob/main.js"
        self._log = log
        self.endpoint = ""
        self.connection_string = ""

    def __enter__(self) -> Azurite:
        node = shutil.which("node")
        if node is None:
            raise SystemExit("Node 20 or newer must be on PATH")
        options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
        quiet = ["--disableTelemetry", "--skipApiVersionCheck", *([] if self._log else ["--silent"])]
        command = [node, "--no-warnings", str(self._main), *options, *quiet]
        if self._log:
            with self._log.open("w") as out:
                self._process = subprocess.Popen(command, stdout=out, text=True)
            self.endpoint = f"{self._wait_for_log()}/{ACCOUNT}"
        else:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self.endpoint = f"{self._wait_for_line()}/{ACCOUNT}"
        account = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint};"
        self.connection_string = f"DefaultEndpointsProtocol=http;{account}"
        return self

    def _wait_for_line(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := _READY.search(line):
                return found.group(1)
        raise SystemExit(f"Azurite ended with {self._process.wait()} before it was ready")

    def _wait_for_log(self) -> str:
        assert self._log is not None
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if found := _READY.search(self._log.read_text()):
                return found.group(1)
            time.sleep(0.05)
        self._process.kill()
        raise SystemExit(f"Azurite was not ready within {_START_SECONDS:.0f} s, or ended")

    def mark(self) -> int:
        """Where the log ends now."""
        assert self._log is not None
        return self._log.stat().st_size

    def requests(self, since: int) -> Counter[str]:
        """Requests noted since a mark: `list` for listings, else the HTTP method."""
        assert self._log is not None
        with self._log.open(encoding="utf-8", errors="replace") as log:
            log.seek(since)
            found = _REQUEST.findall(log.read())
        return Counter("list" if "comp=list" in url else method for method, url in found)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        if self._process.stdout is not None:
            self._process.stdout.close()
