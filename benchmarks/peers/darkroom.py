"""The worker's conversion, with the profile that the first argument names; a second one: without its compiled part."""

import sys

from benchmarks.peers.serve import serve
from shared.worker_settings import ConversionSettings, Profile
from worker import native
from worker.conversion import convert as darkroom

settings = ConversionSettings(profile=Profile(sys.argv[1]))
if sys.argv[2:]:
    native.load = lambda: None  # type: ignore[assignment]
elif native.load() is None:
    sys.exit("worker/native is not built for this machine: run make setup")


def convert(data: bytes) -> bytes:
    pieces: list[bytes] = []
    darkroom(data, settings, pieces.append)
    return b"".join(pieces)


serve(convert)
