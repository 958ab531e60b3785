"""How commands speak: tables and sentences for people on standard output, or one JSON document for programs.

Progress and remarks go to standard error, so that `--json` output and pipes stay clean.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import Progress

ProfileOption = Annotated[
    str, typer.Option("--profile", metavar="WHERE", help="A local cloud's folder, a settings file, or a name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PrefixOption = Annotated[str, typer.Option("--prefix", metavar="P", help="Only names that begin so.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


class Output:
    """What a command prints with. Names from outside are shown as text: never as markup, never as control codes."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True)
        self.remarks = Console(stderr=True, highlight=False, soft_wrap=True)

    def document(self, value: Any) -> None:
        """One JSON document on standard output. JSON's own escapes, where the stream cannot take every character."""
        unicode = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") in {"utf8", "utf16"}
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=not unicode, indent=2) + "\n")

    def say(self, sentence: str) -> None:
        """A sentence (with markup) for people; nothing under --json."""
        if not self.as_json:
            self.console.print(sentence)

    def remark(self, sentence: str) -> None:
        """A sentence beside the answer, on standard error."""
        self.remarks.print(sentence)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: int = 0) -> None:
        """A table of text; the last `right` columns are numbers."""
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        table.show_header = any(columns)
        for number, column in enumerate(columns):
            numeric = number >= len(columns) - right
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def progress(self, *, unit: str = "") -> Progress:
        """A progress bar on standard error; hidden where nobody watches."""
        from rich import progress  # noqa: PLC0415 (a status is asked for often, and shows none)

        return progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn(unit),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=self.remarks,
            disable=self.as_json or not self.remarks.is_terminal,
            transient=True,
        )


def safe(name: str) -> str:
    """A name from outside, fit for a terminal: control characters as escapes, no markup."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
    return escape(shown)


def confirm(question: str, *, yes: bool) -> None:
    """Asks once; without a terminal to ask on, only --yes lets it pass. Raises typer.Abort on a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is here to confirm it: add --yes")
    typer.confirm(question, abort=True)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """A span for people: `42 s`, `3 min`, `2 h 5 min`, `4 d`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds / 86400:.0f} d"


def moment(text: str) -> datetime | None:
    """An ISO 8601 time, or None where it is none."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def ago(text: str, now: datetime) -> str:
    """How long ago an ISO 8601 time was, for people; `-` where there is none."""
    at = moment(text)
    return "-" if at is None else f"{duration(max(0.0, (now - at).total_seconds()))} ago"


def plain(value: Any) -> Any:
    """Dataclasses, enums, times and tuples as JSON has them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return value
