"""Runs the page's tests: a browser, the tools, a local cloud of their own on free ports, all ended at the end.

`python -m tests.dashboard.browser.run [--screenshots DIR]`. A browser is looked for (CHROMIUM, chromium,
google-chrome, …); on a machine with apt and root, Debian's `chromium` is installed when there is none. Nothing is
skipped: without a browser this fails, and says what to install.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_START_SECONDS = 90.0


class SetUpError(Exception):
    """The tests cannot run; the message says what is needed."""


def find_browser() -> str:
    """The path of a browser, installed now where that can be done. Raises SetUpError."""
    named = os.environ.get("CHROMIUM", "")
    if named:
        return named
    found = _look()
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        sys.stdout.write("installing Debian's chromium for the page's tests\n")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SetUpError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        found = _look()
    if found is None:
        raise SetUpError(
            "The page's tests need Chromium: install it (Debian: apt-get install chromium), or set CHROMIUM."
        )
    return found


def _look() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


def install_tools() -> None:
    """playwright-core and axe-core, as the lock file says. Raises SetUpError."""
    stamp, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if stamp.is_file() and stamp.stat().st_mtime >= lock.stat().st_mtime:
        return
    done = subprocess.run(["npm", "ci", "--silent", "--no-progress", "--no-audit", "--no-fund"], cwd=HERE, check=False)
    if done.returncode:
        raise SetUpError("npm ci failed for the tools of the page's tests")


def start_cloud(data: Path) -> subprocess.Popen[bytes]:
    """A local cloud on free ports, ten times as fast as Azure's clocks. Raises SetUpError."""
    ports = ("--blob-port", "0", "--functions-port", "0", "--batch-port", "0")
    log = (data.parent / "up.log").open("wb")
    cloud = subprocess.Popen(
        [sys.executable, "-m", "localcloud", "up", "--data", str(data), *ports, "--speed", "10"],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    log.close()
    deadline = time.monotonic() + _START_SECONDS
    while not (data / "endpoints.json").is_file():
        if cloud.poll() is not None or time.monotonic() > deadline:
            cloud.terminate()
            raise SetUpError(f"the local cloud did not start:\n{(data.parent / 'up.log').read_text()[-3000:]}")
        time.sleep(0.2)
    return cloud


def main() -> int:
    """The exit code of the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", type=Path, default=None, help="write pictures of the page there")
    arguments = parser.parse_args()
    try:
        browser = find_browser()
        install_tools()
        with tempfile.TemporaryDirectory(prefix="darkroom-browser-") as folder:
            data = Path(folder) / "data"
            cloud = start_cloud(data)
            try:
                return _tests(browser, data, arguments.screenshots)
            finally:
                cloud.send_signal(signal.SIGTERM)
                cloud.wait(timeout=60)
    except SetUpError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _tests(browser: str, data: Path, screenshots: Path | None) -> int:
    told = json.loads((data / "endpoints.json").read_text("utf-8"))
    if screenshots is not None:
        screenshots.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "CHROMIUM": browser,
        "DASHBOARD_URL": told["functions"],
        "DASHBOARD_KEY": told["functions_key"],
        "PROFILE": str(data),
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SCREENSHOTS": str(screenshots.resolve()) if screenshots else "",
    }
    command = ["node", "--test", "--test-timeout", "600000", str(HERE / "page.test.mjs")]
    return subprocess.run(command, cwd=HERE, env=environment, check=False, timeout=1200).returncode


if __name__ == "__main__":
    sys.exit(main())
