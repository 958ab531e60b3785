"""A contest: every contestant converts every picture, in turns, on one and the same core, by processor time."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.corpus import Picture

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-bench/bin/python"
BASE = "Pillow, default"


@dataclass(slots=True)
class Score:
    """What a contestant did: seconds of every round and bytes, by picture; and its memory at its largest."""

    seconds: dict[Path, list[float]] = field(default_factory=dict)
    bytes_out: dict[Path, int] = field(default_factory=dict)
    peak: int = 0

    def total(self) -> float:
        """Seconds for all pictures: each picture's best round, since noise only adds."""
        return sum(min(rounds) for rounds in self.seconds.values())

    def size(self) -> int:
        return sum(self.bytes_out.values())

    def on(self, pictures: list[Picture]) -> Score:
        """The score on some of the pictures; its memory is that of all."""
        paths = [picture.path for picture in pictures]
        return Score(
            seconds={path: self.seconds[path] for path in paths},
            bytes_out={path: self.bytes_out[path] for path in paths},
            peak=self.peak,
        )


class Contestant:
    """A process that converts what it is told to, pinned to one core."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.score = Score()
        environ = os.environ | {"PYTHONPATH": str(ROOT), "VIPS_CONCURRENCY": "1", "UV_THREADPOOL_SIZE": "1"}
        environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(2**40)
        core = max(os.sched_getaffinity(0))
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def convert(self, picture: Picture, *, counts: bool = True) -> None:
        """One picture; `counts` is false for warming up."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{picture.path}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self._process.wait()} on {picture.path}")
        answer = json.loads(line)
        self.score.peak = max(self.score.peak, answer["peak"])
        if counts:
            self.score.seconds.setdefault(picture.path, []).append(answer["seconds"])
            self.score.bytes_out[picture.path] = answer["bytes"]

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def contestants(*, ours: bool) -> list[Contestant]:
    """Everyone who is installed. `ours` adds Darkroom's other ways: without the compiled part, and for size."""
    python = sys.executable
    found = {
        BASE: [python, "-m", "benchmarks.peers.pillow"],
        "Darkroom, speed": [python, "-m", "benchmarks.peers.darkroom", "speed"],
    }
    if ours:
        found["Darkroom, not compiled"] = [python, "-m", "benchmarks.peers.darkroom", "speed", "without"]
        found["Darkroom, size"] = [python, "-m", "benchmarks.peers.darkroom", "size"]
    if PEERS.exists():
        found["OpenCV, default"] = [str(PEERS), "-m", "benchmarks.peers.opencv"]
        found["libvips, default"] = [str(PEERS), "-m", "benchmarks.peers.vips"]
    if (ROOT / "benchmarks/node_modules/sharp").exists():
        found["sharp, default"] = ["node", str(ROOT / "benchmarks/sharp.mjs")]
    return [Contestant(name, command) for name, command in found.items()]


def hold(pictures: list[Picture], *, rounds: int, ours: bool = False) -> dict[str, Score]:
    """Everyone's score. Turns are taken picture by picture, so that a noisy moment hits all alike."""
    field_ = contestants(ours=ours)
    try:
        for contestant in field_:
            contestant.convert(pictures[0], counts=False)
        for _ in range(rounds):
            for picture in pictures:
                for contestant in field_:
                    contestant.convert(picture)
    finally:
        for contestant in field_:
            contestant.close()
    return {contestant.name: contestant.score for contestant in field_}


def ratio(base: Score, other: Score) -> float:
    """How many times faster `other` was than `base`: the median over paired rounds of all pictures."""
    rounds = range(min(len(times) for times in base.seconds.values()))
    return statistics.median(
        sum(times[n] for times in base.seconds.values()) / sum(times[n] for times in other.seconds.values())
        for n in rounds
    )
