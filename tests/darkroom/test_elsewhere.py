"""On systems that are not POSIX, and terminals that are not UTF-8: what can be held without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.darkroom.places import ROOT

POSIX_ONLY = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")


def test_the_command_line_needs_no_module_that_windows_has_not() -> None:
    """Every command and every module of `darkroom` loads while Python's POSIX-only modules are hidden."""
    script = (
        f"import sys\nfor name in {POSIX_ONLY!r}:\n    sys.modules[name] = None\n"
        "import importlib, pkgutil\nimport darkroom\nfrom darkroom.commands import TABLE, load\n"
        "for name in TABLE:\n    load(name)\n"
        "for module in pkgutil.walk_packages(darkroom.__path__, 'darkroom.'):\n"
        "    if not module.name.endswith('__main__'):\n        importlib.import_module(module.name)\n"
        "print(len(TABLE), 'commands')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("commands\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_json_document_is_one_whatever_the_terminal_can_write(encoding: str) -> None:
    """A name outside of the console's encoding becomes JSON's escape, not Python's."""
    script = (
        "from darkroom.output import Output\nOutput(as_json=True).document({'name': 'Gr\\u00fc\\u00dfe \\U0001f4f7'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import darkroom.command_line as m; m._speak_utf8()\n" + script],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout.decode(encoding)) == {"name": "Grüße 📷"}
