"""`status --watch`: the same again and again, until Ctrl-C. A service that is away for a while is waited for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from darkroom.failure import ExitCode, explain
from darkroom.output import Output, plain
from darkroom.status.asking import Asked
from darkroom.status.rendering import render


def watch(out: Output, ask: Callable[[], Asked], every: float) -> None:
    """On a terminal one screen that is redrawn; in a pipe one status after the other, as JSON one a line."""
    answers = _answers(ask, every)
    if out.as_json:
        for asked in answers:
            if asked.remark:
                out.remark(asked.remark)
            sys.stdout.write(json.dumps(plain(asked.document)) + "\n")
            sys.stdout.flush()
    elif not out.console.is_terminal:
        for asked in answers:
            out.console.print(_shown(asked))
            out.console.print()
    else:
        with Live(console=out.console, screen=True, auto_refresh=False) as live:
            for asked in answers:
                live.update(_shown(asked), refresh=True)


def _answers(ask: Callable[[], Asked], every: float) -> Iterator[Asked]:
    """The first answer must come: a wrong profile does not pass. Later ones may stay away for a while."""
    asked = ask()
    while True:
        yield asked
        time.sleep(every)
        try:
            asked = ask()
        except Exception as error:
            failure = explain(error)
            if failure.code is not ExitCode.UNREACHABLE:
                raise
            asked = replace(asked, remark=f"{failure.message}. What follows is of {asked.document.get('at', '?')}.")


def _shown(asked: Asked) -> RenderableType:
    shown = render(asked.document, datetime.now(UTC))
    return Group(Text(asked.remark, style="yellow"), Text(), shown) if asked.remark else shown
