"""The page's files, as they lie in pipeline/pages/. They hold no data and are the same for everyone."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pipeline.dashboard.reply import Reply, error_reply

_FOLDER = Path(__file__).resolve().parent.parent / "pages"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# What is served is listed, so that no path from outside ever names a file.
_FILES = {
    name: _FOLDER / folder / name
    for folder, names in {
        "": ("style.css", "main.js", "client.js", "charts.js", "element.js", "lists.js", "icon.svg"),
        "vendor": ("uPlot.iife.min.js", "uPlot.min.css"),
    }.items()
    for name in names
}


def page() -> Reply:
    """The page itself, empty: what it shows, it asks for with the key."""
    return Reply(status=200, body=_read(_FOLDER / "index.html")[0], content_type=_TYPES[".html"])


def asset(name: str, *, known_tag: str = "") -> Reply:
    """One of the page's files; 304 where the browser has it (`known_tag` is its If-None-Match)."""
    path = _FILES.get(name)
    if path is None:
        return error_reply(404, "There is no such file.")
    body, tag = _read(path)
    extra = {"ETag": tag, "Cache-Control": "no-cache"}
    if known_tag == tag:
        return Reply(status=304, body=b"", content_type=_TYPES[path.suffix], extra=extra)
    return Reply(status=200, body=body, content_type=_TYPES[path.suffix], extra=extra)


@cache
def _read(path: Path) -> tuple[bytes, str]:
    body = path.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'
