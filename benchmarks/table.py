"""A table of results, in Markdown, aligned for a terminal too."""

from __future__ import annotations


class Table:
    """Rows of text under a header."""

    def __init__(self, header: list[str]) -> None:
        self._rows = [header]

    def add(self, *cells: str) -> None:
        """Adds a row."""
        self._rows.append(list(cells))

    def text(self) -> str:
        """The table as Markdown."""
        widths = [max(len(row[column]) for row in self._rows) for column in range(len(self._rows[0]))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in self._rows
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines)
