"""The worker's conversion, with the profile that the first argument names."""

import sys

from benchmarks.peers.serve import serve
from shared.worker_settings import ConversionSettings, Profile
from worker.conversion import convert as darkroom

settings = ConversionSettings(profile=Profile(sys.argv[1]))


def convert(data: bytes) -> bytes:
    pieces: list[bytes] = []
    darkroom(data, settings, pieces.append)
    return b"".join(pieces)


serve(convert)
