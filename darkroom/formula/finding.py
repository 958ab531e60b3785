"""What lint says of a formula."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """Something that the language allows, or not, and that its user will regret."""

    line: int
    column: int
    code: str
    why: str
    fix: str
