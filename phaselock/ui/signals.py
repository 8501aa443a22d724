"""The signals by which the system asks the window to end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
"""Ctrl-C, a terminal that closes, a logout or a shutdown. The platforms know different ones."""


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[None]:
    """Within the block, a signal calls `end`; a second one has its usual effect."""
    usual = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    usual = {number: handler for number, handler in usual.items() if handler not in (signal.SIG_IGN, None)}  # nohup

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
