"""The end of the X server, as at a logout. Without a handler Xlib ends the process at once, without a goodbye."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ended_by_lost_display(close: Callable[[], None]) -> Iterator[None]:
    """Within the block, the loss of the X server calls `close` and then ends the process with status 1. For the thread
    that runs Tk, if Tk uses X11."""

    def on_lost(_display: int | None) -> int:
        try:
            close()
        finally:
            os._exit(1)

    handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(on_lost)
    try:
        library = ctypes.CDLL("libX11.so.6")  # the one that Tk has loaded
    except OSError:
        yield
        return
    library.XSetIOErrorHandler(handler)
    try:
        yield
    finally:
        library.XSetIOErrorHandler(None)
