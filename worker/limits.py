"""What is too large to be decoded, told from the headers alone: before any memory or time is spent."""

from __future__ import annotations

from shared.worker_settings import ConversionSettings
from worker.jpeg import Frame, least_bytes
from worker.reasons import Reason, RejectedError

_BASE_MEMORY = 100_000_000  # bytes of address space: the interpreter, Pillow, a strip's working copies


def check_limits(frame: Frame, size: int, settings: ConversionSettings) -> None:
    """Raises RejectedError where a file of `size` bytes or its picture is larger than the settings allow."""
    if size > settings.max_bytes:
        raise RejectedError(Reason.TOO_MANY_BYTES, found=size, limit=settings.max_bytes)
    limit = settings.max_pixels
    if frame.pixels > limit:
        facts = {"width": frame.width, "height": frame.height, "pixels": frame.pixels, "limit": limit}
        raise RejectedError(Reason.TOO_MANY_PIXELS, **facts)
    if _memory(frame) > settings.max_memory:
        raise RejectedError(Reason.TOO_MUCH_MEMORY, limit=settings.max_memory)
    if size < least_bytes(frame) and not settings.accept_truncated:
        found = f"its {size} bytes cannot hold {frame.width} x {frame.height} pixels"
        raise RejectedError(Reason.TRUNCATED, found=found)


def _memory(frame: Frame) -> int:
    """Bytes that decoding takes: Pillow's pixels, and all coefficients at once where the scans are many."""
    coefficients = frame.blocks * 64 * 2 if frame.progressive else 0
    return _BASE_MEMORY + 4 * frame.pixels + coefficients
