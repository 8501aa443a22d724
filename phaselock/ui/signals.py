"""The signals by which the system asks the window to end: Ctrl-C, a terminal that closes, a logout or a shutdown."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

from phaselock.console.interrupts import interrupts


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[None]:
    """Within the block, a signal calls `end`; a second one has its usual effect."""
    usual = {number: handler for number in interrupts() if (handler := signal.getsignal(number)) is not None}

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def on_signal(*_: object) -> None:
        restore()
        end()

    for number in usual:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()
