"""No process is left behind: a child of the local cloud ends when its parent does, however the parent ended.

Two holds, since each alone has a gap. The parent keeps the write end of the child's stdin and never writes
to it, so the end of that stream means that the parent is gone (any system; the child must watch). On Linux
the kernel also sends SIGTERM at the parent's death (any program, but Linux only; prctl(2)).
"""

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def end_with_stdin() -> None:
    """Send this process SIGTERM when its stdin reaches its end. Called by children that a parent leashed."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="leash", daemon=True).start()


def _load_prctl() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


_LIBC = _load_prctl()


def end_with_parent() -> None:
    """Run in the child between fork and exec: ask Linux for SIGTERM when the parent dies. Elsewhere nothing."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
