"""Drops images as a user's own script would: `python drop.py CONNECTION_STRING COUNT SEED PREFIX`.

Knows nothing but the official SDK. Prints one JSON line for each image: its name, and which picture it holds.
"""

import io
import json
import sys

from azure.storage.blob import ContainerClient
from PIL import Image


def picture(number: int, seed: int) -> bytes:
    """A small JPG that is different for each number and seed."""
    image = Image.effect_noise((64 + number % 7, 48), 40 + seed).convert("RGB")
    image.paste(((number * 37) % 256, (seed * 91) % 256, (number * seed) % 256), (4, 4, 30, 30))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def main() -> None:
    """Upload, and say what."""
    connection_string, count, seed, prefix = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with ContainerClient.from_connection_string(connection_string, "images") as images:
        for number in range(count):
            name, data = f"{prefix}image {number} ü&#.jpg", picture(number, seed)
            images.upload_blob(name, data, overwrite=True)
            sys.stdout.write(json.dumps({"name": name, "data": data.hex()}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
