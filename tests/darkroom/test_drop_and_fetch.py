"""Images go up, PNGs come down, against a real Azurite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from darkroom.failure import ExitCode
from darkroom.fetch.target import target
from tests.darkroom.places import Cli, Place

pytestmark = pytest.mark.azurite


def test_a_folder_keeps_its_relative_paths_and_other_files_are_left(cli: Cli, place: Place, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "été" / "a b").mkdir(parents=True)
    (photos / "1.JPG").write_bytes(b"one")
    (photos / "été" / "a b" / "2.jpeg").write_bytes(b"two")
    (photos / "notes.txt").write_bytes(b"no image")
    ran = cli("drop", photos, "--prefix", "set/", "--json", environ=place.environ)
    assert ran.code == ExitCode.OK
    assert place.names("images") == ["set/1.JPG", "set/été/a b/2.jpeg"]
    assert place.read("images", "set/été/a b/2.jpeg") == b"two"
    told = json.loads(ran.out)
    assert told["uploaded"] == 2
    assert [Path(left["path"]).name for left in told["left"]] == ["notes.txt"]


def test_what_is_there_unchanged_is_skipped_and_what_changed_is_not(cli: Cli, place: Place, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"same")
    cli("drop", tmp_path / "a.jpg", tmp_path / "b.jpg", environ=place.environ)
    (tmp_path / "b.jpg").write_bytes(b"diff")
    told = json.loads(cli("drop", tmp_path / "a.jpg", tmp_path / "b.jpg", "--json", environ=place.environ).out)
    assert (told["uploaded"], told["unchanged"]) == (1, 1)
    assert place.read("images", "b.jpg") == b"diff"


def test_a_missing_file_is_said_and_the_others_go_up(cli: Cli, place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    ran = cli("drop", tmp_path / "a.jpg", tmp_path / "gone.jpg", environ=place.environ)
    assert ran.code == ExitCode.NOT_OK
    assert "gone.jpg" in ran.err
    assert place.names("images") == ["a.jpg"]


def test_a_dry_run_uploads_nothing(cli: Cli, place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    assert "would upload 1" in cli("drop", tmp_path / "a.jpg", "--dry-run", environ=place.environ).out
    assert place.names("images") == []


def test_make_images_makes_different_pictures_once(cli: Cli, place: Place) -> None:
    first = json.loads(cli("make-images", "3", "--width", "64", "--height", "48", "--json", environ=place.environ).out)
    again = json.loads(cli("make-images", "3", "--width", "64", "--height", "48", "--json", environ=place.environ).out)
    assert (first["made"], again["made"], again["unchanged"]) == (3, 0, 3)
    names = place.names("images")
    assert names == [f"test-images/image-00000{n}.jpg" for n in (1, 2, 3)]
    assert len({place.read("images", name) for name in names}) == 3


def test_fetch_brings_pngs_with_their_folders_and_goes_on_where_it_was(cli: Cli, place: Place, tmp_path: Path) -> None:
    for name in ("a.png", "deep/er/b.png", "other/c.png"):
        place.put("converted", name, name.encode())
    out = tmp_path / "out"
    first = json.loads(cli("fetch", out, "--json", environ=place.environ).out)
    assert first["fetched"] == 3
    assert (out / "deep" / "er" / "b.png").read_bytes() == b"deep/er/b.png"
    (out / "a.png").unlink()
    place.put("converted", "other/c.png", b"newer content")
    again = json.loads(cli("fetch", out, "--json", environ=place.environ).out)
    assert (again["fetched"], again["there"]) == (2, 1)
    assert (out / "other" / "c.png").read_bytes() == b"newer content"
    assert [path.name for path in out.rglob("*.part")] == []


def test_fetch_takes_only_the_prefix(cli: Cli, place: Place, tmp_path: Path) -> None:
    for name in ("x/a.png", "y/b.png"):
        place.put("converted", name)
    assert (
        json.loads(cli("fetch", tmp_path / "o", "--prefix", "x/", "--json", environ=place.environ).out)["fetched"] == 1
    )
    assert not (tmp_path / "o" / "y").exists()


@pytest.mark.parametrize(
    "name", ["../up.png", "a/../../up.png", "/etc/x.png", "a//b.png", "./a.png", "a/\0.png", "x" * 300]
)
def test_no_blob_name_leaves_the_folder(name: str, tmp_path: Path) -> None:
    assert target(tmp_path, name, windows=False) is None


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a:b?.png", "a%3Ab%3F.png"),
        ("con.png", "_con.png"),
        ("dots.", "dots%2E"),
        ("C:/x.png", "C%3A/x.png"),
        ("a\\..\\b.png", "a%5C..%5Cb.png"),
    ],
)
def test_names_that_windows_forbids_are_encoded_there(name: str, file: str, tmp_path: Path) -> None:
    assert target(tmp_path, name, windows=True) == tmp_path.joinpath(*file.split("/"))


@pytest.mark.azurite
def test_an_image_whose_name_no_blob_can_have_is_left_and_is_exit_1(cli: Cli, place: Place, tmp_path: Path) -> None:
    """On Azurite a control character would break every later listing of the container."""
    for name in ("a\x1b[31m.jpg", "fine.jpg"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"x")
    ran = cli("drop", tmp_path / "photos", environ=place.environ)
    assert (ran.code, place.names("images")) == (ExitCode.NOT_OK, ["fine.jpg"])
    assert "control character" in ran.err
    assert "\x1b" not in ran.err
    assert cli("drop", tmp_path / "photos" / "fine.jpg", "--prefix", "a/" * 512, environ=place.environ).code == 1
