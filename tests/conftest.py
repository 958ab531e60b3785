"""For all tests: a real Azurite, in memory, for those that need one; how Hypothesis tries its examples."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow, not wrong: no example has a deadline.
settings.register_profile("darkroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("darkroom")

_MAIN = Path(__file__).resolve().parents[1] / "node_modules/azurite/dist/src/blob/main.js"


@pytest.fixture(scope="session")
def azurite_port() -> Iterator[int]:
    """The port of an Azurite that lives as long as the tests."""
    node = shutil.which("node")
    assert node is not None, "Node 20 or newer must be on PATH"
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    quiet = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    process = subprocess.Popen([node, "--no-warnings", str(_MAIN), *options, *quiet], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"successfully listens on http://127\.0\.0\.1:(\d+)", line):
                yield int(found.group(1))
                break
        else:
            pytest.fail(f"Azurite ended with {process.wait()} before it was ready")
    finally:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()
