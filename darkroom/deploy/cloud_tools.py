"""`az` and `azd`, Microsoft's command lines, which know who is signed in and which environment is meant."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Protocol

from darkroom.failure import CommandError, ExitCode

SECONDS = 1800.0
"""Longest that one command may take: a deployment of the templates takes minutes."""


class CloudTools(Protocol):
    """What the deployment asks of the two command lines."""

    def az(self, *arguments: str) -> Any:
        """Run `az … --output json` and return what it printed, parsed. Raises CommandError with what it said."""

    def environment(self) -> Mapping[str, str]:
        """The values of the chosen azd environment: what it was given, and the templates' outputs."""

    def remember(self, name: str, value: str) -> None:
        """Set a value of the chosen azd environment."""

    def azd(self, *arguments: str) -> None:
        """Run `azd …` for the person to see. Raises CommandError when it fails."""


class InstalledTools:
    """The command lines that are installed on this machine."""

    def az(self, *arguments: str) -> Any:
        """See CloudTools."""
        printed = self._run("az", *arguments, "--output", "json")
        return json.loads(printed) if printed.strip() else None

    def environment(self) -> Mapping[str, str]:
        """See CloudTools."""
        values: dict[str, str] = json.loads(self._run("azd", "env", "get-values", "--output", "json"))
        return values

    def remember(self, name: str, value: str) -> None:
        """See CloudTools."""
        self._run("azd", "env", "set", name, value)

    def azd(self, *arguments: str) -> None:
        """See CloudTools."""
        done = subprocess.run([self._path("azd"), *arguments], check=False)  # noqa: S603 (our own arguments, no shell)
        if done.returncode:
            raise CommandError(f"azd {' '.join(arguments)} failed with {done.returncode}; what it said is above")

    def _run(self, tool: str, *arguments: str) -> str:
        command = [self._path(tool), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 (as above)
        except subprocess.TimeoutExpired as error:
            raise CommandError(
                f"{tool} {' '.join(arguments[:3])} took longer than {SECONDS:.0f} s", code=ExitCode.TIMEOUT
            ) from error
        if done.returncode:
            raise CommandError(
                f"{tool} {' '.join(arguments[:3])}: {done.stderr.strip()}", hint=_hint(tool, done.stderr)
            )
        return done.stdout

    def _path(self, tool: str) -> str:
        path = shutil.which(tool)
        if path is None:
            raise CommandError(
                f"{tool} is not installed.",
                code=ExitCode.SETTINGS,
                hint="docs/azure.md, 'What you need', says where from.",
            )
        return path


def _hint(tool: str, said: str) -> str:
    if "login" in said.lower() or "AADSTS" in said:
        return "az login" if tool == "az" else "azd auth login"
    return ""
