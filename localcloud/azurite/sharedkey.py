"""The signature of a request to Blob Storage.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

_SIGNED = (
    *("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date"),
    *("If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"),
)


def authorization(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, account: str, key: str
) -> str:
    """The Authorization header. `path` is the request's path as it is sent, percent-encoded.

    `headers` holds what the request will carry; a Content-Length of 0 is signed as an empty line.
    """
    values = [headers.get(name, "") for name in _SIGNED]
    values[2] = "" if values[2] == "0" else values[2]
    own = sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith("x-ms-"))
    lines = [method, *values, *(f"{name}:{value}" for name, value in own), f"/{account}{path}"]
    lines += [f"{name.lower()}:{query[name]}" for name in sorted(query)]
    digest = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"
