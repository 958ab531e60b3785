"""Where a blob lands on disk. Names of blobs come from outside: none may leave the folder, or name a device."""

from __future__ import annotations

import re
from pathlib import Path

_FORBIDDEN_ON_WINDOWS = re.compile(r'[<>:"|?*\x00-\x1f]')
_DEVICES = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
_MAX_SEGMENT = 240  # bytes; file systems allow 255, and a download needs a suffix while it runs


def target(folder: Path, name: str, *, windows: bool) -> Path | None:
    """The file for the blob `name` under `folder`, or None where no file can stand for it.

    Folders of the name are kept. Characters that Windows forbids are percent-encoded there.
    """
    segments = name.split("/")
    if any(segment in ("", ".", "..") or "\0" in segment for segment in segments):
        return None
    if windows:
        segments = [_for_windows(segment) for segment in segments]
    try:
        if any(len(segment.encode("utf-8")) > _MAX_SEGMENT for segment in segments):
            return None
    except UnicodeEncodeError:
        return None
    return folder.joinpath(*segments)


def _for_windows(segment: str) -> str:
    safe = _FORBIDDEN_ON_WINDOWS.sub(lambda found: f"%{ord(found.group()):02X}", segment.replace("\\", "%5C"))
    if safe.split(".", 1)[0].lower() in _DEVICES:
        safe = "_" + safe
    if safe[-1] in ". ":
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    return safe
