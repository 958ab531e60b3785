"""What today's users call: open, save."""

import io

from PIL import Image

from benchmarks.peers.serve import serve


def convert(data: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(out, "PNG")
    return out.getvalue()


serve(convert)
