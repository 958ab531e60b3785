"""Which files a drop takes, and what their blobs are called. Pure but for reading folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.naming import MAX_BLOB_NAME, is_jpeg_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A file to upload and its blob's name."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A file that is not uploaded, and why."""

    path: Path
    reason: str
    wanted: bool = True
    """Whether it was an image, or named by the person: then leaving it is a failure."""


def select(paths: Iterable[Path], prefix: str) -> Iterator[Chosen | Left]:
    """Files under their own name, folders with the paths inside them; `prefix` goes before every name."""
    for path in paths:
        if path.is_dir():
            for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
                yield _judge(file, prefix + file.relative_to(path).as_posix())
        elif path.is_file():
            yield _judge(path, prefix + path.name)
        else:
            yield Left(path=path, reason="no such file or folder")


def _judge(path: Path, name: str) -> Chosen | Left:
    if not is_jpeg_name(name):
        return Left(path=path, reason="not a JPG name (.jpg .jpeg .jpe .jfif)", wanted=False)
    if any(character < " " or character == "\x7f" for character in name):
        return Left(path=path, reason="its name has a control character, which listings of blobs cannot carry")
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > MAX_BLOB_NAME:
        return Left(path=path, reason=f"its blob's name would be longer than {MAX_BLOB_NAME} characters")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return Left(path=path, reason="its name is not valid text in this system's encoding")
    return Chosen(path=path, name=name)
