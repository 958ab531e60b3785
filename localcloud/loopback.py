"""Ports on 127.0.0.1: which are free, and a clear word about one that is not."""

import errno
import random
import socket

from localcloud.errors import StartError

HOST = "127.0.0.1"

_LEAST, _MOST, _PICKS = 20_000, 32_000, 200


def is_free(port: int) -> bool:
    """True when a server can listen on 127.0.0.1:`port` now (port 0: always)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """A port that was free a moment ago, outside the range that systems give to outgoing connections.

    In that range a client that asks again and again for a server that is being restarted can, on loopback, connect
    to itself, and then the server's port is taken.
    """
    for _ in range(_PICKS):
        port = random.randrange(_LEAST, _MOST)  # noqa: S311 - a pick, not a secret
        if is_free(port):
            return port
    raise StartError(f"no port from {_LEAST} to {_MOST} seems to be free")


def require_free(port: int, *, service: str, option: str) -> None:
    """Raise StartError with the option to change when `port` is taken (0 never is)."""
    if port and not is_free(port):
        raise StartError(
            f"port {port} for {service} is in use: stop the other program or pass {option} PORT (0 picks one)"
        )
