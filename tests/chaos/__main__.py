"""`python -m tests.chaos [--seed N] [--rounds K] [--images M]`: seeded rounds of faults on real processes.

Exit 0 when every round ended with everything accounted for; 1 when one did not: its folder is kept and named.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.chaos.processes import adopted_orphans
from tests.chaos.round import Options, Result, play


def main(argv: Sequence[str] | None = None) -> int:
    """Plays the rounds one after another, and stops at the first that fails unless told to go on."""
    arguments = _arguments(argv)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)  # also where the shell had SIGINT ignored: stop everything
    first = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    failed = 0
    for seed in range(first, first + arguments.rounds):
        result = _round(Options(seed=seed, images=arguments.images, storm_seconds=arguments.storm), arguments.log)
        failed += bool(result.problems)
        if result.problems and not arguments.go_on:
            break
    return 1 if failed else 0


def _round(options: Options, log: Path | None) -> Result:
    folder = Path(tempfile.mkdtemp(prefix=f"darkroom-chaos-{options.seed}-"))
    _say(f"round seed={options.seed} images={options.images} storm={options.storm_seconds:g} s")
    try:
        with adopted_orphans():
            result = asyncio.run(play(options, folder, say=_say))
    except Exception:  # noqa: BLE001 - a round that breaks in its own machinery has failed, too
        result = Result(seed=options.seed, problems=[traceback.format_exc()])
    for problem in result.problems:
        _say(f"PROBLEM {problem}")
    _say(_line(result))
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_record(result)) + "\n")
    if result.problems:
        _say(f"kept: {folder}")
        _say(f"replay: make chaos SEED={options.seed} IMAGES={options.images}")
    else:
        shutil.rmtree(folder)
    return result


def _record(result: Result) -> dict[str, object]:
    truth = result.truth
    return {
        "seed": result.seed,
        "problems": result.problems,
        "images": len(truth.latest),
        "uploads": truth.uploads,
        "overwrites": truth.overwrites,
        "deletions": truth.deletions,
        "recreations": truth.recreations,
        "events": asdict(result.events),
        "blows": dict(result.struck),
        "faults": dict(result.faults),
        "requests": result.requests,
        "accounted": dict(result.accounted),
        "settle_seconds": round(result.settle_seconds, 1),
        "seconds": round(result.seconds, 1),
    }


def _line(result: Result) -> str:
    """The last line of a round."""
    truth, found = result.truth, result.accounted
    return (
        f"{'FAILED' if result.problems else 'ok'} seed={result.seed} images={len(truth.latest)} "
        f"uploads={truth.uploads} overwrites={truth.overwrites} deletions={truth.deletions} "
        f"pngs={found['pngs']} quarantined={found['quarantined']} "
        f"blows={result.struck.total()} faults={result.faults.total()} of {result.requests} requests "
        f"events_dropped={result.events.dropped} events_duplicated={result.events.duplicated} "
        f"settled_in={result.settle_seconds:.1f} s seconds={result.seconds:.1f}"
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first round; the next ones count on (default: random)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--storm", type=float, default=30.0, help="seconds of faults in a round")
    parser.add_argument("--log", type=Path, help="append a JSON line a round to this file")
    parser.add_argument("--go-on", action="store_true", help="play all rounds even if one fails")
    return parser.parse_args(argv)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
