"""`python -m worker convert`, and what the worker prints."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from shared.outcome import Outcome, Result
from shared.worker_settings import Log
from tests.worker import pngs
from tests.worker.jpegs import jpeg
from worker.local import LocalError, plan
from worker.progress import Progress, bar
from worker.report import Report, human_bytes

ROOT = Path(__file__).resolve().parents[2]


def convert(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker", "convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_a_folder_becomes_a_folder_of_the_same_shape(tmp_path: Path) -> None:
    """JPGs of any spelling, folders inside, other files left alone; a summary at the end, no bar without a terminal."""
    source, target = tmp_path / "in", tmp_path / "out"
    for name in ("a.jpg", "deep/er/b.JPEG", "notes.txt"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    done = convert(source, target)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 converted: ")
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*.*")) == ["a.png", "deep/er/b.png"]
    pngs.chunks((target / "a.png").read_bytes())


def test_a_failed_file_is_named_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    """Exit 1, and no half PNG is left."""
    (tmp_path / "good.jpg").write_bytes(jpeg())
    (tmp_path / "bad.jpg").write_bytes(jpeg()[:500])
    done = convert(tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert "bad.jpg: truncated." in done.stderr
    assert "1 converted, 1 failed" in done.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_a_png_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    """Nothing is overwritten by accident."""
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "a.png").write_bytes(b"mine")
    assert convert(tmp_path / "a.jpg", tmp_path / "a.png").returncode == 1
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    assert convert("--force", tmp_path / "a.jpg", tmp_path / "a.png").returncode == 0
    pngs.chunks((tmp_path / "a.png").read_bytes())


def test_two_files_for_one_png_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    """As in storage: a.jpg and a.jpeg never overwrite each other."""
    for name in ("a.jpg", "a.jpeg"):
        (tmp_path / name).write_bytes(jpeg())
    with pytest.raises(LocalError, match="both become"):
        list(plan(tmp_path, tmp_path / "out"))


@pytest.mark.parametrize(("source", "code"), [("missing.jpg", 2), ("", 4)])
def test_what_cannot_be_converted_has_a_clear_exit(tmp_path: Path, source: str, code: int) -> None:
    """No such file; no JPGs in the folder."""
    done = convert(tmp_path / source, tmp_path / "out")
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_the_bar_grows_in_eighths() -> None:
    """And is only drawn on a terminal."""
    assert bar(0, 4, 4) == "    "
    assert bar(1, 3, 4) == "█▍  "
    assert bar(4, 4, 4) == "████"
    silent = io.StringIO()
    Progress(3, silent).update(1, 0)
    assert silent.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (123_400_000, "123 MB"), (5e9, "5 GB")]
)
def test_bytes_are_told_in_three_digits(count: float, text: str) -> None:
    """Powers of 1000."""
    assert human_bytes(count) == text


def test_a_name_cannot_break_the_log() -> None:
    """Names come from outside: control characters are escaped, in either form one image is one line."""
    for form in Log:
        out = io.StringIO()
        name = "a\nb\x1b[2J.jpg"
        Report(1, form, out).image(
            Outcome(name=name, etag="1", result=Result.REJECTED, at="", reason="truncated", detail=f"bad {name}")
        )
        assert out.getvalue().count("\n") == 1
        assert "\x1b" not in out.getvalue()
