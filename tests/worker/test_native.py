"""The compiled part of the PNG writer: what it deflates inflates again, and no filter but PNG's own is used."""

from __future__ import annotations

import io
import os
import platform
import random
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from worker import native
from worker.compression import Bits
from worker.native.build import HERE, TARGETS, target

LIBRARY = native.load()
EVERY = (1 << native.FILTERS) - 1

pytestmark = pytest.mark.skipif(
    target(sys.platform, platform.machine()) is None, reason="the library is not made for this kind of machine"
)


def library() -> native.Library:
    """The one that `make setup` built. A machine that could run it and has none fails here: nothing is passed over."""
    assert LIBRARY is not None, "run make setup; on x86-64 the processor must have AVX2"
    return LIBRARY


def stream(*parts: bytes) -> bytes:
    """The parts deflated one after another into one stream, as strips are."""
    bits, out = Bits(), b""
    for part in parts:
        whole, bits.waiting, bits.count = library().deflate(bytearray(part), bits.waiting, bits.count)
        out += whole
    return out + bits.end()


def inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    found = inflater.decompress(data) + inflater.flush()
    assert inflater.eof
    assert inflater.unused_data == b""
    return found


PIECES = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.builds(lambda byte, count: bytes((byte,)) * count, st.integers(0, 255), st.integers(1, 600)),
    st.builds(lambda seed, count: random.Random(seed).randbytes(count), st.integers(0, 99), st.integers(1, 3000)),
)


@given(st.lists(st.lists(PIECES, min_size=1, max_size=12).map(b"".join), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_it_deflates_inflates_to_the_same(parts: list[bytes]) -> None:
    """Literals, runs of every length, strips that begin with the byte that the one before ended with."""
    assert inflated(stream(*parts)) == b"".join(parts)


@pytest.mark.parametrize("before", [0, 1, 31, 32, 33, 60, 61, 63])
@pytest.mark.parametrize("count", [*range(1, 12), *range(60, 70), *range(255, 268), 516, 517, 518, 519, 774, 100_000])
def test_runs_of_every_length_and_place(before: int, count: int) -> None:
    """Where a run begins and ends amid 64 bytes, and how it is cut into deflate's lengths, loses no byte."""
    data = random.Random(before).randbytes(before) + b"\x07" * count + b"\x08\x09"
    assert inflated(stream(data)) == data


def test_frequencies_that_want_codes_longer_than_allowed() -> None:
    """Fibonacci numbers make the deepest tree there is; its codes are cut to what fits, and still tell all apart."""
    counts, least = [1, 1], 22
    while len(counts) < least:
        counts.append(counts[-1] + counts[-2])
    data = bytearray(b"".join(bytes((11 * number & 255,)) * count for number, count in enumerate(counts)))
    random.Random(1).shuffle(data)
    assert inflated(stream(bytes(data))) == data


def test_a_strip_of_several_blocks() -> None:
    """A strip of more than a mebibyte has a block for each, and runs go on across their border."""
    data = random.Random(2).randbytes(3000) + bytes(2_500_000) + random.Random(3).randbytes(50_000)
    assert inflated(stream(data)) == data


def test_noise_takes_no_more_room_than_it_is_given() -> None:
    """What cannot be deflated grows by a few in a hundred: far from the two bytes a byte that the buffer has."""
    for size in (1, 2, 63, 64, 65, 500, 70_000):
        data = random.Random(size).randbytes(size)
        assert len(stream(data)) < 1.1 * size + 400


@pytest.mark.parametrize("size", [10, 5000, 60_000])
def test_the_size_is_foreseen(size: int) -> None:
    """Ways are compared by it: it is within a hundredth of what comes out (large strips are counted in samples)."""
    chance = random.Random(size)
    data = bytes(min(255, round(chance.expovariate(0.2))) for _ in range(size)) + bytes(size)
    assert library().deflated_size(bytearray(data)) == pytest.approx(len(stream(data)), rel=0.01, abs=24)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", range(native.FILTERS))
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (31, 5), (32, 4), (33, 4), (97, 13)])
def test_every_filter_is_undone_by_a_reader(kind: int, mode: str, size: tuple[int, int]) -> None:
    """All five of PNG's, first row and first column included, at widths on either side of a vector's."""
    width, height = size
    count = width * height * len(mode if mode == "RGB" else "L")
    picture = Image.frombytes(mode, size, random.Random(kind).randbytes(count))
    band = Image.new(mode, (width, height + 1))
    band.paste(picture, (0, 1))
    rows = library().filter(band, 1 << kind)
    assert set(rows[:: len(rows) // height]) == {kind}
    assert unfiltered(rows, mode, size) == picture.tobytes()


def test_each_row_takes_the_filter_that_leaves_the_least() -> None:
    """Rows that a filter makes zeros of get that filter: equal rows Up, equal columns Sub, a slope in both Paeth."""
    width = 64
    flat = bytes(range(width)) * 2
    band = Image.frombytes("L", (width, 3), flat + bytes(40 for _ in range(width)))
    kinds = library().filter(band, EVERY)[:: width + 1]
    assert list(kinds) == [2, 1]


def unfiltered(rows: bytearray, mode: str, size: tuple[int, int]) -> bytes:
    """What a reader makes of the rows: Pillow's own."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + bytes((8, 2 if mode == "RGB" else 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    with Image.open(io.BytesIO(png)) as read:
        return read.tobytes()


def test_nothing_undefined_happens(tmp_path: Path) -> None:
    """Compiled so that overflow, wild shifts and misaligned reads trap, it does the same work and ends well."""
    made = target(sys.platform, platform.machine())
    assert made is not None
    checked = tmp_path / made.file
    command = [sys.executable, "-m", "ziglang", "cc", "-target", made.triple, f"-mcpu={made.cpu}", "-std=c11", "-O1"]
    command += ["-fsanitize=undefined", "-fsanitize-trap=undefined", "-shared", "-fPIC", "-o", str(checked)]
    subprocess.run([*command, str(HERE / "strips.c")], check=True, timeout=100)
    script = f"""
import random, zlib
from pathlib import Path
from PIL import Image
from worker.native import Library
library = Library(Path({str(checked)!r}))
for seed in range(60):
    chance = random.Random(seed)
    mode = chance.choice(["RGB", "L"])
    size = chance.randint(1, 300), chance.randint(2, 40)
    noise = Image.frombytes(mode, size, chance.randbytes(size[0] * size[1] * (3 if mode == "RGB" else 1)))
    band = (noise, noise.resize((max(1, size[0] // 9), size[1])).resize(size), Image.new(mode, size, 7))[seed % 3]
    rows = library.filter(band, chance.randint(1, 31))
    data, waiting, count = library.deflate(rows, 0, 0)
    whole = (waiting | 3 << count).to_bytes((count + 17) // 8, "little")
    assert zlib.decompressobj(-15).decompress(data + whole) == rows
    library.deflated_size(rows)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100, cwd=HERE.parents[1])


def test_every_target_has_a_name_of_its_own() -> None:
    """Two machines that share a folder do not load each other's library."""
    assert len({made.file for made in TARGETS}) == len(TARGETS)


def test_the_library_is_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    """A package is named by its content: in another folder, with nothing cached, the compiler makes the same file."""
    made = target(sys.platform, platform.machine())
    assert made is not None
    elsewhere = shutil.copytree(HERE, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "cache"), "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "local")}
    command = [sys.executable, str(elsewhere / "build.py")]
    subprocess.run(command, check=True, timeout=110, cwd=tmp_path, env=os.environ | caches)
    assert (elsewhere / made.file).read_bytes() == (HERE / made.file).read_bytes()
