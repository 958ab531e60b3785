"""SharedKey: the signature that Batch asks for.

https://learn.microsoft.com/rest/api/batchservice/authenticate-requests-to-the-azure-batch-service
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from localcloud.batch.core.errors import Refused

_SIGNED_HEADERS: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def claimed_account(authorization: str | None) -> str:
    """The account that the Authorization header names. Raises Refused where it is missing or malformed."""
    if not authorization:
        raise Refused("AuthenticationFailed", "Authorization header is missing.")
    scheme, _, rest = authorization.partition(" ")
    account, found, signature = rest.partition(":")
    if scheme.lower() == "bearer":
        raise Refused(
            "AuthenticationFailed",
            "The local Batch service takes SharedKey only: there is no Microsoft Entra ID on this machine.",
        )
    if scheme.lower() != "sharedkey" or not found or not account or not signature:
        raise Refused("InvalidAuthenticationInfo")
    return account


def string_to_sign(
    *, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], account: str
) -> str:
    """What the client signed. `headers` by name in lower case, `query` by name; `path` as sent, not decoded."""
    lines = [method.upper()]
    for name in _SIGNED_HEADERS:
        value = headers.get(name, "")
        if name == "content-length" and method.upper() in ("GET", "HEAD"):
            value = ""
        lines.append(value)
    text = "\n".join(lines) + "\n"
    for name in sorted(n for n in headers if n.startswith("ocp-")):
        if headers[name]:
            text += f"{name}:{headers[name]}\n"
    text += f"/{account}{path}"
    for name in sorted(query):
        if query[name]:
            text += f"\n{name}:{query[name]}"
    return text


def sign(text: str, key: str) -> str:
    """`key` is base64. Raises ValueError where it is not."""
    secret = base64.b64decode(key, validate=True)
    return base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()


def check_signature(authorization: str, texts: tuple[str, ...], key: str) -> None:
    """Raises Refused unless the signature is right for one of the texts."""
    given = authorization.rpartition(":")[2]
    try:
        given_bytes = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("InvalidAuthenticationInfo") from error
    for text in texts:
        if hmac.compare_digest(base64.b64decode(sign(text, key)), given_bytes):
            return
    raise Refused(
        "AuthenticationFailed",
        values=(
            (
                "AuthenticationErrorDetail",
                "The MAC signature found in the HTTP request is not the same as any computed signature.",
            ),
        ),
    )
