"""Results kept in a page of docs, between two marks."""

from __future__ import annotations

import re
from pathlib import Path


def write_between(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the page's two marks of this name. Raises ValueError without them."""
    start, end = _marks(name)
    first, last = between(page, name)
    old = page.read_text(encoding="utf-8")
    page.write_text(f"{old[:first]}{start}\n{text}\n{end}{old[last:]}", encoding="utf-8")


def between(page: Path, name: str) -> tuple[int, int]:
    """Where the page has the two marks of this name, and what stands between. Raises ValueError without them."""
    start, end = _marks(name)
    found = list(re.finditer(f"{start}.*?{end}", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    if len(found) != 1:
        raise ValueError(f"{page}: needs {start} and {end}, once")
    return found[0].span()


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
