"""Access keys: who may call what.

https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
The master key opens everything, host keys every function of level `function`, a function's own keys that
function, and the system key of the Event Grid extension its webhook. They lie in one file that only its
owner can read, so the addresses with `?code=` outlive a restart.
"""

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from localcloud.errors import StartError


def _new_key() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys of one host, and of the custom topics beside it (they live as long)."""

    master: str = field(repr=False)
    default: str = field(repr=False)
    event_grid: str = field(repr=False)
    functions: Mapping[str, str] = field(default_factory=dict, repr=False)

    def opens_function(self, function: str, key: str) -> bool:
        """True for a key that may call `function` at level `function`."""
        return _any_equal(key, [self.master, self.default, *filter(None, [self.functions.get(function)])])

    def opens_admin(self, key: str) -> bool:
        """True for the master key."""
        return _any_equal(key, [self.master])

    def opens_event_grid(self, key: str) -> bool:
        """True for a key that may post to the Event Grid webhook."""
        return _any_equal(key, [self.master, self.event_grid])


def _any_equal(given: str, keys: list[str]) -> bool:
    # compare_digest on each, without a way out in between: the time tells nothing about the keys
    return any([hmac.compare_digest(given.encode(), key.encode()) for key in keys])  # noqa: C419


def load_keys(path: Path) -> Keys:
    """The keys in `path`, made at first use (readable by the owner only). Raises StartError."""
    try:
        return Keys(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError) as error:
        raise StartError(f"the key file {path} cannot be read ({error}): remove it to have new keys made") from error
    keys = Keys(master=_new_key(), default=_new_key(), event_grid=_new_key())
    write_private(path, json.dumps(asdict(keys), indent=2) + "\n")
    return keys


def write_private(path: Path, text: str) -> None:
    """Write `path` so that only its owner can read it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
