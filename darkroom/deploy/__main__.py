"""`python -m darkroom.deploy STEP`: what azd's hooks call."""

from __future__ import annotations

import sys

from typer.main import get_command

from darkroom.deploy.command import app
from darkroom.failure import explain

if __name__ == "__main__":
    try:
        get_command(app)(prog_name="python -m darkroom.deploy")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the one place where every error ends)
        failure = explain(error)
        sys.stderr.write(f"darkroom: {failure.message}\n" + (f"  {failure.hint}\n" if failure.hint else ""))
        sys.exit(failure.code)
