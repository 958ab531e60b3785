"""The log of written blobs: read once, in order, across segments, torn lines and restarts."""

import json
from pathlib import Path

import pytest

from localcloud.azurite.writes import Position, WriteLog


def _line(blob: str, **changed: object) -> str:
    line = {
        "time": 1_760_000_000_000,
        "api": "PutBlob",
        "path": f"/devstoreaccount1/images/{blob}",
        "etag": '"0x1"',
        "blobType": "BlockBlob",
        "contentLength": 3,
        "contentType": "image/jpeg",
        "requestId": "r",
        "clientRequestId": "c",
        **changed,
    }
    return json.dumps(line) + "\n"


def _read_all(log: WriteLog, position: Position | None = None) -> tuple[list[str], Position]:
    position = position or Position()
    names: list[str] = []
    while True:
        writes, position = log.read(position)
        if not writes:
            return names, position
        names += [write.blob for write in writes]


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert WriteLog(tmp_path).read(Position()) == ([], Position())


def test_segments_are_read_in_order_and_once(tmp_path: Path) -> None:
    (tmp_path / "writes-000000000000002-000000.jsonl").write_text(_line("c"))
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(_line("a") + _line("b"))
    log = WriteLog(tmp_path)
    names, position = _read_all(log)
    assert names == ["a", "b", "c"]
    assert _read_all(log, position) == ([], position)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    segment = tmp_path / "writes-000000000000001-000000.jsonl"
    segment.write_text(_line("a"))
    _, position = _read_all(WriteLog(tmp_path))
    with segment.open("a") as file:
        file.write(_line("b"))
    assert _read_all(WriteLog(tmp_path), position)[0] == ["b"]


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    segment = tmp_path / "writes-000000000000001-000000.jsonl"
    whole = _line("a") + _line("b")
    segment.write_text(whole[:-5])
    names, position = _read_all(WriteLog(tmp_path))
    assert names == ["a"]
    segment.write_text(whole)
    assert _read_all(WriteLog(tmp_path), position)[0] == ["b"]


def test_a_torn_end_of_an_older_segment_is_passed(tmp_path: Path) -> None:
    """Its writer was killed in the middle; the next Azurite writes a segment of its own."""
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(_line("a") + _line("b")[:-9])
    (tmp_path / "writes-000000000000002-000000.jsonl").write_text(_line("c"))
    assert _read_all(WriteLog(tmp_path))[0] == ["a", "c"]


def test_a_line_that_is_damaged_does_not_hide_the_next(tmp_path: Path) -> None:
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text('{"half\n' + _line("a") + '{"api": 1}\n' + _line("b"))
    assert _read_all(WriteLog(tmp_path))[0] == ["a", "b"]


def test_a_portion_is_bounded_and_a_long_line_is_whole(tmp_path: Path) -> None:
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(_line("a" * 900) + _line("b") + _line("c"))
    log = WriteLog(tmp_path)
    writes, position = log.read(Position(), limit_bytes=100)
    assert [write.blob for write in writes] == ["a" * 900]
    writes, _ = log.read(position, limit_bytes=10_000)
    assert [write.blob for write in writes] == ["b", "c"]


def test_read_segments_are_forgotten_and_the_present_one_stays(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"writes-00000000000000{number}-000000.jsonl").write_text(_line("x"))
    log = WriteLog(tmp_path)
    _, position = _read_all(log)
    log.forget(position)
    assert [path.name for path in tmp_path.iterdir()] == ["writes-000000000000002-000000.jsonl"]


@pytest.mark.parametrize(
    ("path", "blob"),
    [
        ("/devstoreaccount1/images/a%20b/%C3%BC%2Bx.jpg", "a b/ü+x.jpg"),
        ("/devstoreaccount1/images/100%25%23.jpg", "100%#.jpg"),
        ("/devstoreaccount1/images/a%5Cb.jpg", "a/b.jpg"),
        ("/devstoreaccount1/images/a//b.jpg", "a//b.jpg"),
    ],
)
def test_the_blobs_name_is_decoded(tmp_path: Path, path: str, blob: str) -> None:
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(_line("x", path=path))
    writes, _ = WriteLog(tmp_path).read(Position())
    assert (writes[0].container, writes[0].blob, writes[0].etag) == ("images", blob, "0x1")


def test_only_a_put_of_the_bytes_carries_the_blobs_length(tmp_path: Path) -> None:
    (tmp_path / "writes-000000000000001-000000.jsonl").write_text(
        _line("a") + _line("b", api="PutBlockList") + _line("c", contentLength=-1)
    )
    writes, _ = WriteLog(tmp_path).read(Position())
    assert [write.content_length for write in writes] == [3, None, None]
