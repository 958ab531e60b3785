"""Why the demo did not come to its end: what is missing, and the last words of everything that could know."""

from __future__ import annotations

from pathlib import Path

from darkroom.demo.cloud import said
from darkroom.demo.ledger import Ledger
from darkroom.demo.watch import Sight

_NAMES = 10
_LINES = 12


def diagnose(folder: Path, ledger: Ledger, sight: Sight | None) -> list[str]:
    """Lines for a person who has to find out."""
    lines = []
    if sight is not None:
        lines.append(
            f"at the end: dropped={sight.dropped} arriving={sight.arriving} waiting={sight.waiting}"
            f" running={sight.running} converted={sight.converted} quarantined={sight.quarantined}"
            f" tasks={sight.tasks} nodes={sight.nodes}"
        )
    missing = ledger.missing
    if missing:
        more = f" and {len(missing) - _NAMES} more" if len(missing) > _NAMES else ""
        lines.append(f"not accounted for: {', '.join(missing[:_NAMES])}{more}")
    lines += _section("the local cloud's screen", said(folder))
    for log in sorted((folder / "data" / "logs").glob("*.log")):
        text = log.read_text(encoding="utf-8", errors="replace")
        telling = [line for line in text.splitlines() if _is_telling(line)]
        lines += _section(f"logs/{log.name}", "\n".join(telling or text.splitlines()))
    lines.append(f"everything is kept in {folder}")
    return lines


def _is_telling(line: str) -> bool:
    return any(word in line for word in ("ERROR", "WARNING", "Error", "Traceback", "failed"))


def _section(title: str, text: str) -> list[str]:
    return [f"--- {title}", *text.splitlines()[-_LINES:]]
