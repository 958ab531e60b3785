"""libvips through pyvips: its default PNG, its streaming mode."""

import pyvips

from benchmarks.peers.serve import serve


def convert(data: bytes) -> bytes:
    return bytes(pyvips.Image.new_from_buffer(data, "", access="sequential").pngsave_buffer())


serve(convert)
