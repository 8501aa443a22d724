"""How the C library keeps memory that is free again. For the GNU C library; others have no such settings."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

from phaselock.session.events import Event, QueueChanged

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""From malloc.h."""
SHRUNK_ROWS = 500
"""A queue that has become shorter by this number of rows has freed memory."""
PAUSE_S = 1.0
"""From then until the memory is given back: first the window and the terminal forget the rows."""
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


class QueueMemory:
    """Gives memory back when a long queue has become a short one: 2000 rows take 10 MB while they are handed on."""

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        """`later` calls a function after a number of seconds."""
        self._later = later
        self._most_rows = 0

    def tell(self, event: Event) -> None:
        """An event of the session."""
        if not isinstance(event, QueueChanged) or event.asked:
            return
        rows = len(event.queue)
        self._most_rows = max(self._most_rows, rows)
        if self._most_rows - rows >= SHRUNK_ROWS:
            self._most_rows = rows
            self._later(PAUSE_S, _collect_and_give_back)


def _collect_and_give_back() -> None:
    """It takes some 10 ms."""
    if gc.isenabled():  # a window collects by itself, on its own thread: see ui/pump.py
        gc.collect()
    give_back()


@functools.cache
def _library() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
