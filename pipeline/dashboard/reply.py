"""An HTTP answer, before a host's own type: status, body, headers. Every answer carries the page's policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# No inline script or style, nothing from elsewhere, no frame, and no string ever becomes markup or code.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)
_ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    content_type: str
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """All headers but the content type. Nothing is stored by caches unless the reply says so."""
        return {**_ALWAYS, "Cache-Control": "no-store", **self.extra}


def json_reply(value: Any, *, status: int = 200) -> Reply:
    """A JSON document."""
    return Reply(
        status=status,
        body=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
        content_type="application/json; charset=utf-8",
    )


def error_reply(status: int, sentence: str) -> Reply:
    """`{"error": sentence}`, which the page shows."""
    return json_reply({"error": sentence}, status=status)
