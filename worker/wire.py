"""What a converting process and its parent say to each other.

A request is 8 bytes of length and the JPEG. An answer is frames of one byte of kind, 4 bytes of length and a
body: any number of `D` (the PNG goes on), then one of `C` (converted) or `R` (rejected), whose body is JSON. The first
frame of all is `H` (hello): the process is ready.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

HELLO, DATA, CONVERTED, REJECTED = b"H", b"D", b"C", b"R"


@dataclass(frozen=True, slots=True, kw_only=True)
class Png:
    """A finished PNG."""

    pieces: tuple[bytearray, ...]
    size: int
    """Bytes."""
    width: int
    height: int
    mode: str
    notes: tuple[str, ...]


def receive(connection: socket.socket, size: int) -> bytearray | None:
    """Exactly `size` bytes, or None when the other side has closed."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    got = 0
    while got < size:
        count = connection.recv_into(view[got:])
        if count == 0:
            return None
        got += count
    return buffer


def send(connection: socket.socket, kind: bytes, body: bytes) -> None:
    """One frame."""
    header = kind + len(body).to_bytes(4, "big")
    if len(body) < 1 << 16:
        connection.sendall(header + body)
    else:
        connection.sendall(header)
        connection.sendall(body)
