"""The one family of errors, split by what the caller can do about it.

Permanent: trying again changes nothing, because the image, the document or the configuration is wrong.
Retryable: the world is at fault (storage away, throttled, quota), and the same call may succeed later.
Messages say what happened, to which thing, and what to do.
"""

from __future__ import annotations


class DarkroomError(Exception):
    """Base of every error that Darkroom raises on purpose."""


class PermanentError(DarkroomError):
    """The input or the configuration is wrong; a retry cannot mend it."""


class RetryableError(DarkroomError):
    """The world is at fault; the same call may succeed later. `retry_after` is in seconds, where the service said."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SettingsError(PermanentError):
    """A setting is missing or has a value that is not allowed. The message names its key and what is allowed."""


class DocumentError(PermanentError):
    """A stored document cannot be read: not JSON, of another kind, or of an unknown schema version."""


class MalformedDocumentError(DocumentError):
    """The data is no JSON at all: cut off, or never ours."""
