"""The compiled part of the PNG writer, `strips.c`: filters and deflates strips of pixels.

Optional: where it is missing, or the processor lacks what it was compiled for, `load` gives None, and the same pixels
are written by Pillow's arithmetic and ISA-L. Called through ctypes, which lets go of the interpreter lock.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from pathlib import Path
from typing import Final

from PIL import Image

from worker.native.build import target

FILTERS: Final = 5
"""PNG's: none, Sub, Up, Average, Paeth, in the order of their numbers."""
_NEEDED = {"avx2", "bmi2"}  # of x86-64-v3, what the library uses
_STORED = {"RGB": 4, "L": 1}  # bytes of a pixel as Pillow holds it
_PACKED = {"RGB": 3, "L": 1}


class Library:
    """The functions of strips.c. Not thread-safe: its memory is used again by the next call."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        size, byte = ctypes.c_size_t, ctypes.c_void_p
        self._filter = library.darkroom_filter
        self._filter.argtypes = (byte, size, size, size, ctypes.c_uint, byte, byte)
        self._filter.restype = None
        self._deflate = library.darkroom_deflate
        self._deflate.argtypes = (byte, size, ctypes.POINTER(ctypes.c_uint64), byte, byte)
        self._deflate.restype = size
        self._size = library.darkroom_deflated_size
        self._size.argtypes = (byte, size)
        self._size.restype = size
        self._scratch = _Memory()
        self._deflated = _Memory()
        self._pairs = _Memory()

    def filter(self, band: Image.Image, kinds: int) -> bytearray:
        """The rows of a band but its first, each through the filter that leaves the least, after its filter's number.

        `kinds` has a bit for each filter that may be used. The band is RGB or L, and its first row is the one above.
        """
        width, rows, stored = band.width, band.height - 1, _STORED[band.mode]
        length = width * _PACKED[band.mode]
        filtered = bytearray(rows * (length + 1))
        scratch = self._scratch.of(4 * length + 16)
        with _Pixels(band) as pixels:
            self._filter(pixels, width, rows, stored, kinds, _address(filtered), scratch)
        return filtered

    def deflate(self, rows: bytearray, waiting: int, count: int) -> tuple[bytes, int, int]:
        """Deflate blocks of the bytes, none of them the last, after `count` bits (`waiting`) of what came before.

        Gives whole bytes, and the bits that wait after them.
        """
        out = self._deflated.of(2 * len(rows) + 1024)
        state = (ctypes.c_uint64 * 2)(waiting, count)
        size = self._deflate(_address(rows), len(rows), state, out, self._pairs.of(8 * 65536))
        return ctypes.string_at(out, size), state[0], state[1]

    def deflated_size(self, rows: bytearray) -> int:
        """Bytes that `deflate` would make, to within a few."""
        return int(self._size(_address(rows), len(rows)))


@functools.cache
def load() -> Library | None:
    """The library, if it is there and this processor can run it."""
    made = target(sys.platform, platform.machine())
    if made is None:
        return None
    path = Path(__file__).with_name(made.file)
    return Library(path) if path.exists() and _runs_here() else None


def _runs_here() -> bool:
    """Whether the processor has what the library was compiled for."""
    if platform.machine() != "x86_64":
        return True
    facts = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    flags = next((line for line in facts.splitlines() if line.startswith("flags")), "")
    return set(flags.split()) >= _NEEDED


class _Memory:
    """Memory that grows to what is asked for, and is used again."""

    def __init__(self) -> None:
        self._block = ctypes.create_string_buffer(0)

    def of(self, size: int) -> int:
        """The address of `size` bytes."""
        if len(self._block) < size:
            self._block = ctypes.create_string_buffer(size)
        return ctypes.addressof(self._block)


def _address(data: bytearray) -> int:
    """Where the bytes lie; they must be kept, and keep their length, as long as it is used."""
    return ctypes.addressof((ctypes.c_char * len(data)).from_buffer(data))


class _ArrowArray(ctypes.Structure):
    """https://arrow.apache.org/docs/format/CDataInterface.html, as far as it is read here."""


_ArrowArray._fields_ = (
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
)
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


class _Pixels:
    """Where a picture's pixels lie, by Pillow's Arrow interface, which copies nothing. A context: valid inside it."""

    def __init__(self, picture: Image.Image) -> None:
        _, self._capsule = picture.__arrow_c_array__()

    def __enter__(self) -> int:
        array = ctypes.cast(_pointer(self._capsule, b"arrow_array"), ctypes.POINTER(_ArrowArray)).contents
        if array.n_children:  # a pixel of several bytes is a list of them
            array = array.children[0].contents
        return int(array.buffers[1])

    def __exit__(self, *_: object) -> None:
        del self._capsule
