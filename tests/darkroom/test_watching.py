"""`status --watch`: one status after the other, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

import pytest

from darkroom.failure import CommandError, ExitCode
from darkroom.status.asking import Asked
from darkroom.status.watching import _answers
from tests.darkroom.places import ROOT, Place


def away() -> CommandError:
    return CommandError("The function app does not answer", code=ExitCode.UNREACHABLE)


def test_a_watch_outlives_a_service_that_is_away_for_a_while_and_says_how_old_its_figures_are() -> None:
    known = Asked(document={"at": "10:00"}, source="function app")
    script: Iterator[Asked | CommandError] = iter([known, away(), known])

    def ask() -> Asked:
        told = next(script)
        if isinstance(told, CommandError):
            raise told
        return told

    first, second, third = islice(_answers(ask, 0), 3)
    assert (first.remark, third.remark) == ("", "")
    assert second.remark == "The function app does not answer. What follows is of 10:00."
    assert second.document == known.document


@pytest.mark.parametrize("code", [ExitCode.UNREACHABLE, ExitCode.SETTINGS])
def test_a_watch_that_cannot_begin_ends(code: ExitCode) -> None:
    def ask() -> Asked:
        raise CommandError("no", code=code)

    with pytest.raises(CommandError):
        next(_answers(ask, 0))


@pytest.mark.azurite
def test_in_a_pipe_each_line_is_a_json_document_and_ctrl_c_ends_it_with_130(place: Place) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom", "status", "--watch", "--json", "--every", "1"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **place.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        times = [json.loads(process.stdout.readline())["at"] for _ in range(2)]
        assert times[0] < times[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == ExitCode.INTERRUPTED
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
