"""Events for a widget in a window of a test, without the program's own window."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(window: Any, true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Process the window's events until `true()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "timeout"
        window.update()
        time.sleep(0.005)


def click(widget: Any, x: int | None = None, y: int | None = None, *, state: int = 0) -> None:
    """Press and release the button at a place in a widget; by default its middle."""
    x = widget.winfo_width() // 2 if x is None else x
    y = widget.winfo_height() // 2 if y is None else y
    widget.event_generate("<Enter>", x=x, y=y)
    widget.event_generate("<ButtonPress-1>", x=x, y=y, state=state)
    widget.event_generate("<ButtonRelease-1>", x=x, y=y, state=state)
    widget.update()


def key(widget: Any, sequence: str, **options: Any) -> None:
    """Send a key to a widget."""
    widget.event_generate(sequence, **options)
    widget.update()


def focused(window: Any) -> Any:
    return window.focus_get()


def shown(widget: Any) -> None:
    widget.pack(padx=10, pady=10)
    widget.update()
