"""The SDK gives a state as an enum it knows, or as the bare text of one that it does not know yet."""

from __future__ import annotations

from enum import Enum


def state_word(state: Enum | str | None) -> str:
    """The state as Batch writes it; empty where there is none."""
    if state is None:
        return ""
    return str(state.value) if isinstance(state, Enum) else state
