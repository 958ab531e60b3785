"""`darkroom`: the operator's command line. One handler for every error; the commands are in their own modules."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

# Typer checks arguments with pydantic, which would search all installed packages for plugins first: 40 ms of each call.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")

import typer
from typer.main import get_command

from darkroom.commands import LazyGroup
from darkroom.failure import ExitCode, explain
from darkroom.profile import CHOICE

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (slow, and only for --version)

        try:
            number = version("darkroom")
        except PackageNotFoundError:
            number = "(not installed: running from a checkout)"
        typer.echo(f"darkroom {number}")
        raise typer.Exit


@app.callback()
def darkroom(
    profile: Annotated[
        str, typer.Option("--profile", metavar="WHERE", help="A local cloud's folder, a settings file, or a name.")
    ] = "",
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """JPGs that land in one blob container become PNGs in another. Ask how it goes, get the results, clean up."""
    if profile:
        os.environ[CHOICE] = profile


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of ExitCode's numbers."""
    _speak_utf8()
    # What went wrong is told once, below; without a handler of their own, libraries would print their tracebacks too.
    logging.lastResort = logging.NullHandler()
    try:
        get_command(app)(args=arguments, prog_name="darkroom")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the one place where every error ends)
        if _reader_left(error):
            # It (head, less) has what it wanted. Nothing more may be written, at exit neither.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(ExitCode.NOT_OK)
        failure = explain(error)
        sys.stderr.write(f"darkroom: {failure.message}\n")
        if failure.hint:
            sys.stderr.write(f"  {failure.hint}\n")
        sys.exit(failure.code)


def _reader_left(error: BaseException) -> bool:
    """A write to a pipe that nobody reads any more. Windows calls it an invalid argument."""
    windows = sys.platform == "win32"
    return isinstance(error, BrokenPipeError) or (
        windows and isinstance(error, OSError) and error.errno == errno.EINVAL and error.filename is None
    )


def _speak_utf8() -> None:
    """Names of blobs are any text; a console of another encoding shows what it cannot write as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
