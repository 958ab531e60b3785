"""Mutated JPEGs: whatever the bytes, an answer comes in bounded time, and the process lives on."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator

import pytest
from PIL import Image

from shared.worker_settings import ConversionSettings
from tests.worker import pngs
from tests.worker.jpegs import exif, jpeg, stored
from worker.converters import Converters
from worker.reasons import Reason, RejectedError

MUTANTS = 200
SEEDS = {
    "baseline": lambda: jpeg((200, 150), exif=exif(6)),
    "progressive": lambda: jpeg((200, 150), progressive=True),
    "cmyk": lambda: jpeg((120, 90), "CMYK"),
    "metadata": lambda: stored("odd", "pil_flower2.jpg"),
    "arithmetic": lambda: stored("odd", "arithmetic_progressive.jpg"),
}


@pytest.fixture(scope="module")
def converters() -> Iterator[Converters]:
    pool = Converters(2, ConversionSettings(max_pixels=20_000_000, max_seconds=10.0, max_memory=1_000_000_000))
    yield pool
    pool.close()


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Flips, cuts, repeats and exchanges, a few at a time; headers are hit as often as pixels."""
    mutant = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(min(len(mutant), chance.choice((700, len(mutant)))))
        match chance.randrange(5):
            case 0:
                mutant[at] = chance.randrange(256)
            case 1:
                mutant[at] ^= 1 << chance.randrange(8)
            case 2:
                del mutant[at : at + chance.randint(1, 50)]
            case 3:
                mutant[at:at] = mutant[at : at + chance.randint(1, 200)]
            case _:
                mutant[at : at + 2] = bytes((0xFF, chance.randrange(256)))
        if len(mutant) < 4:
            break
    return bytes(mutant)


@pytest.mark.parametrize("name", list(SEEDS))
def test_mutants_never_crash_or_hang_the_worker(name: str, converters: Converters) -> None:
    """Each ends as a strict PNG or as a rejection with a known reason; no process dies of it."""
    seed = SEEDS[name]()
    pids, answers = converters.pids(), list[Reason]()
    for number in range(MUTANTS // len(SEEDS)):
        mutant = mutate(seed, random.Random(f"{name} {number}"))
        started = time.monotonic()
        try:
            png = converters.convert(mutant)
        except RejectedError as rejected:
            answers.append(rejected.reason)
        else:
            pngs.chunks(b"".join(png.pieces))
        assert time.monotonic() - started < 60, f"{name} {number} is not bounded"
    assert not {Reason.DECODER_DIED, Reason.TOO_SLOW} & set(answers)
    assert converters.pids() == pids


def test_a_mutant_that_is_converted_has_pillows_pixels(converters: Converters) -> None:
    """What the decoder accepts comes out as the decoder sees it, not otherwise."""
    seed, seen = jpeg((64, 48)), 0
    for number in range(60):
        mutant = mutate(seed, random.Random(number))
        try:
            png = converters.convert(mutant)
        except RejectedError:
            continue
        with Image.open(io.BytesIO(b"".join(png.pieces))) as ours, Image.open(io.BytesIO(mutant)) as theirs:
            if theirs.mode == ours.mode and "exif" not in theirs.info:
                seen += 1
                assert ours.tobytes() == theirs.tobytes()
    assert seen > 5
