"""Ports on 127.0.0.1: which are free, and a clear word about one that is not."""

import errno
import socket

from localcloud.errors import StartError

HOST = "127.0.0.1"


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
    """A port that was free a moment ago. Servers that can listen on port 0 themselves should."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, service: str, option: str) -> None:
    """Raise StartError with the option to change when `port` is taken (0 never is)."""
    if port and not is_free(port):
        raise StartError(
            f"port {port} for {service} is in use: stop the other program or pass {option} PORT (0 picks one)"
        )
