"""Converting processes: real ones, that are killed, stopped and starved."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.worker_settings import ConversionSettings, environ_of
from tests.worker import pngs
from tests.worker.jpegs import flat, jpeg, stored
from worker.converters import Converters, DiedError
from worker.reasons import Reason, RejectedError

DEADLINE = 30.0


@contextmanager
def converters(count: int = 1, **settings: float) -> Iterator[Converters]:
    made = Converters(count, ConversionSettings(**settings))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def wait_for(condition: object, what: str) -> None:
    """Waits until a callable is true."""
    end = time.monotonic() + DEADLINE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"{what} did not come in time"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_converts_one_image_after_another() -> None:
    """Good and bad ones in any order, in one process."""
    with converters() as pool:
        before = pool.pids()
        for _ in range(3):
            png = pool.convert(jpeg())
            pngs.chunks(b"".join(png.pieces))
            with pytest.raises(RejectedError) as rejected:
                pool.convert(stored("bad", "png_named.jpg"))
            assert rejected.value.reason is Reason.NOT_A_JPEG
            assert "a PNG" in rejected.value.detail
        assert pool.pids() == before


def test_a_hanging_decoder_is_stopped_at_the_deadline_and_replaced() -> None:
    """A stopped process stands for one that hangs; the image is rejected, and the next one is converted."""
    with converters(max_seconds=1.0) as pool:
        pool.convert(jpeg())
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RejectedError) as rejected:
            pool.convert(jpeg())
        assert rejected.value.reason is Reason.TOO_SLOW
        assert not alive(pid)
        assert pool.convert(jpeg()).width == 97


def test_a_killed_decoder_costs_a_second_try_and_no_more() -> None:
    """The node may kill it for want of memory: the image gets another process, and is converted."""
    with converters() as pool:
        pool.convert(jpeg())
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGKILL)
        assert pool.convert(jpeg()).width == 97
        assert pool.pids() != [pid]


def test_an_image_on_which_two_decoders_die_is_rejected() -> None:
    """The first may have been the node's fault; the second says that it is the image."""
    with converters() as pool:
        ended = threading.Event()

        def kill_whoever_works() -> None:
            seen: set[int] = set()
            while not ended.is_set():
                for pid in pool.pids():
                    if pid not in seen and pool.busy(pid):
                        seen.add(pid)
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.002)

        killer = threading.Thread(target=kill_whoever_works)
        killer.start()
        try:
            with pytest.raises(RejectedError) as rejected:
                pool.convert(jpeg((6000, 4000)))
        finally:
            ended.set()
            killer.join()
        assert rejected.value.reason is Reason.DECODER_DIED
        assert "SIGKILL" in rejected.value.detail
        assert pool.convert(jpeg()).width == 97


def test_memory_is_bounded() -> None:
    """An image that needs more than WORKER_MAX_MEMORY is rejected: before decoding where it can be told, else then."""
    with converters(max_memory=250_000_000) as pool:
        for data in (flat((7000, 7000)), flat((5000, 5000), progressive=True)):
            with pytest.raises(RejectedError) as rejected:
                pool.convert(data)
            assert rejected.value.reason is Reason.TOO_MUCH_MEMORY
        assert pool.convert(jpeg()).width == 97


def test_processes_that_do_not_start_are_the_nodes_fault() -> None:
    """An interpreter that does not start fails the task; it never rejects an image."""
    environ = {"PATH": os.environ["PATH"], "PYTHONHOME": "nowhere"}
    pool = Converters(1, ConversionSettings(), environ)
    try:
        with pytest.raises(DiedError):
            pool.convert(jpeg())
    finally:
        pool.close()


def test_no_process_is_left_behind() -> None:
    """Closing ends them all, busy or not."""
    with converters(2) as pool:
        pool.convert(jpeg())
        pids = pool.pids()
        assert len(pids) == 2
    wait_for(lambda: not any(alive(pid) for pid in pids), "the end of the processes")


def test_processes_end_when_their_parent_is_gone() -> None:
    """The socket closes with the parent, however it ended."""
    with converters() as pool:
        pool.convert(jpeg())
        (pid,) = pool.pids()
        pool.hang_up()
        wait_for(lambda: not running(pid), "the end of the process")


def running(pid: int) -> bool:
    """Alive, and not a zombie that nobody has waited for yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_settings_reach_the_processes() -> None:
    """What the environment of a process says reads back as the settings it was made from."""
    from shared.settings import read

    settings = ConversionSettings(max_pixels=123, accept_truncated=True)
    assert read(ConversionSettings, environ_of(settings)) == settings
    with converters(max_pixels=100) as pool, pytest.raises(RejectedError) as rejected:
        pool.convert(jpeg())
    assert rejected.value.reason is Reason.TOO_MANY_PIXELS
