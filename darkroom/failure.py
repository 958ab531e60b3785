"""Exit codes, and what a person reads when a command cannot go on: a sentence, never a traceback."""

from __future__ import annotations

import tempfile
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from shared.errors import DarkroomError, DocumentError, RetryableError, SettingsError


class ExitCode(IntEnum):
    """What scripts may lean on. Documented in docs/cli.md."""

    OK = 0
    NOT_OK = 1  # the command worked; its answer is no: findings, failed images, checks that fail
    USAGE = 2  # the command line is wrong
    SETTINGS = 3  # nothing to talk to, or a setting is wrong
    UNREACHABLE = 4  # storage, Batch or the function app does not answer
    DENIED = 5  # the operator's credentials may not do this
    NOT_FOUND = 6  # no such image, manifest, task, pool
    TIMEOUT = 7  # waited as long as asked, and it was not done
    UNEXPECTED = 70  # a fault of Darkroom; the traceback is in a file
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a command stopped."""

    code: ExitCode
    message: str
    hint: str = ""


class CommandError(DarkroomError):
    """A command cannot go on; it knows which exit code says so."""

    def __init__(self, message: str, *, code: ExitCode = ExitCode.NOT_OK, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class ProfileError(SettingsError):
    """There is no such system to talk to: no setting can be shown either."""


def explain(error: BaseException) -> Failure:
    """The failure that an error means, whichever library raised it."""
    if isinstance(error, CommandError):
        return Failure(code=error.code, message=str(error), hint=error.hint)
    if isinstance(error, ProfileError):
        return Failure(code=ExitCode.SETTINGS, message=str(error))
    if isinstance(error, SettingsError):
        return Failure(code=ExitCode.SETTINGS, message=str(error), hint="darkroom config shows every setting.")
    if isinstance(error, DocumentError):
        return Failure(code=ExitCode.NOT_OK, message=str(error))
    if isinstance(error, RetryableError):
        return Failure(code=ExitCode.UNREACHABLE, message=str(error), hint="Try again; darkroom doctor checks the way.")
    if isinstance(error, DarkroomError):
        return Failure(code=ExitCode.NOT_OK, message=str(error))
    return _explain_azure(error) or _explain_system(error) or _unexpected(error)


def _explain_azure(error: BaseException) -> Failure | None:
    # By module name, so that a command which never touched Azure does not pay for importing it here.
    if not any(kind.__module__.startswith("azure.") for kind in type(error).__mro__):
        return None
    from azure.core import exceptions as azure  # noqa: PLC0415 (only loaded when Azure's errors are about)

    said = _first_line(error)
    if isinstance(error, azure.ClientAuthenticationError):
        return Failure(
            code=ExitCode.DENIED, message=f"Not signed in, or refused: {said}", hint="az login, or another --profile."
        )
    if isinstance(error, azure.HttpResponseError):
        return _explain_response(error, said)
    if isinstance(error, azure.ServiceRequestError | azure.ServiceResponseError):
        return Failure(
            code=ExitCode.UNREACHABLE,
            message=f"No answer: {said}",
            hint="Is the local cloud running (make up)? On Azure: check the network, and darkroom doctor.",
        )
    if isinstance(error, azure.AzureError):
        return Failure(code=ExitCode.NOT_OK, message=said)
    return None


def _explain_response(error: BaseException, said: str) -> Failure:
    status = getattr(error, "status_code", None)
    url = getattr(getattr(getattr(error, "response", None), "request", None), "url", "") or ""
    where = f" ({url.split('?', 1)[0]})" if url else ""
    said = said.removeprefix("Operation returned an invalid status ").strip("'")
    if status in (401, 403):
        return Failure(
            code=ExitCode.DENIED,
            message=f"Permission denied: {said}{where}",
            hint="darkroom doctor says which role is missing.",
        )
    if status == 404:
        return Failure(code=ExitCode.NOT_FOUND, message=f"Not found: {said}{where}")
    if status in (408, 429) or (status or 0) >= 500:
        return Failure(code=ExitCode.UNREACHABLE, message=f"The service is busy or away: {said}{where}")
    return Failure(code=ExitCode.NOT_OK, message=f"{said}{where}")


def _explain_system(error: BaseException) -> Failure | None:
    if isinstance(error, KeyboardInterrupt):
        return Failure(code=ExitCode.INTERRUPTED, message="Interrupted.")
    if isinstance(error, TimeoutError):
        return Failure(code=ExitCode.UNREACHABLE, message=f"No answer in time. {_first_line(error)}".strip())
    if isinstance(error, ConnectionError):
        return Failure(
            code=ExitCode.UNREACHABLE, message=f"No answer: {_first_line(error)}", hint="Is the local cloud running?"
        )
    if isinstance(error, ImportError):
        return Failure(
            code=ExitCode.SETTINGS,
            message=f"This command needs a package that is not installed: {error.name or error}",
            hint="pip install 'darkroom[local]' brings everything.",
        )
    if isinstance(error, OSError):
        said = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else _first_line(error)
        return Failure(code=ExitCode.NOT_OK, message=said)
    return None


def _unexpected(error: BaseException) -> Failure:
    kind = type(error).__name__
    try:
        path = _write_traceback(error)
    except OSError as unwritable:
        return Failure(
            code=ExitCode.UNEXPECTED,
            message=f"Unexpected {kind}: {_first_line(error)}",
            hint=f"(no report: {unwritable})",
        )
    return Failure(
        code=ExitCode.UNEXPECTED,
        message=f"Unexpected {kind}: {_first_line(error)}",
        hint=f"This is a fault of Darkroom. The details are in {path}; please attach them to a report.",
    )


def _write_traceback(error: BaseException) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix=f"darkroom-{stamp}-", suffix=".txt", delete=False
    ) as file:
        file.write("".join(traceback.format_exception(error)))
        return Path(file.name)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].strip() if text else type(error).__name__
