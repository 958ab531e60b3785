"""The demo on the screen: a live table on a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from darkroom.demo.watch import Sight

_STEPS = ("dropped", "arriving", "waiting", "running", "converted", "quarantined")
_MEANS = {
    "dropped": "JPGs that were put into the container",
    "arriving": "as events, or in an inbox",
    "waiting": "in a manifest, for a node",
    "running": "on a node",
    "converted": "their PNGs are there",
    "quarantined": "cannot be converted, with the reason",
}
_LINE_SECONDS = 1.0


def nodes_text(nodes: dict[str, int]) -> str:
    """`3 (2 running, 1 idle)`."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(nodes.items()))
    return f"{sum(nodes.values())}" + (f" ({states})" if states else "")


def _bar(part: int, whole: int, width: int = 40) -> str:
    return "█" * (round(width * part / whole) if whole else 0)


class View:
    """Use as a context manager; `show` at each look, `say` for what happens once."""

    def __init__(self, console: Console, *, images: int) -> None:
        self._console = console
        self._images = images
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._started = time.monotonic()
        self._last_line = ""
        self._last_at = 0.0

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """One event, with the seconds since the start."""
        seconds = time.monotonic() - self._started
        self._console.print(Text(f"{seconds:6.1f} s  {sentence}"), soft_wrap=True)

    def show(self, sight: Sight, activity: str) -> None:
        """The present state."""
        if self._live is not None:
            self._live.update(self._table(sight, activity))
            return
        counts = " ".join(f"{step}={getattr(sight, step)}" for step in _STEPS)
        line = f"{counts} nodes={nodes_text(sight.nodes)}"
        now = time.monotonic()
        if line != self._last_line and now - self._last_at >= _LINE_SECONDS:
            self._last_line, self._last_at = line, now
            self.say(line)

    def _table(self, sight: Sight, activity: str) -> Table:
        table = Table(title=activity, title_justify="left", box=None, show_header=False, pad_edge=False)
        for step in _STEPS:
            count = getattr(sight, step)
            table.add_row(step, Text(str(count), justify="right"), Text(_bar(count, self._images)), _MEANS[step])
        table.add_row(
            "nodes",
            Text(str(sight.node_count), justify="right"),
            Text("▣ " * sight.node_count),
            nodes_text(sight.nodes),
        )
        tasks = ", ".join(f"{count} {state}" for state, count in sorted(sight.tasks.items()))
        table.add_row("tasks", Text(str(sum(sight.tasks.values())), justify="right"), "", tasks)
        return table
