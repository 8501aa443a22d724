"""How the C library keeps memory that is free again. For the GNU C library; others have no such settings."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""From malloc.h."""
_THRESHOLD_BYTES = 128 * 1024
"""The C library's default. Set explicitly it stays: otherwise it grows with the largest block that was freed."""


def limit() -> None:
    """Let all threads share one heap, and return large free blocks at once. Call this before threads start.

    By default the C library keeps up to eight heaps per processor core, and what a thread has freed stays in its heap.
    """
    library = _library()
    if library is not None:
        library.mallopt(_M_ARENA_MAX, 1)
        library.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _THRESHOLD_BYTES)


def give_back() -> None:
    """Return free memory to the system."""
    library = _library()
    if library is not None:
        library.malloc_trim(0)


@functools.cache
def _library() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
