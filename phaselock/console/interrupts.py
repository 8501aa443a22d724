"""The signals that ask a program to end, and their handlers. For the main thread."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Ctrl-C, `kill`, the end of a terminal, and on Windows Ctrl-Break and the end of a console."""
_TIMEOUT_GOODBYE_S = 10.0
"""How long the end of a Windows console waits for this program. Windows itself ends the program after about 5 s."""


def interrupts() -> tuple[signal.Signals, ...]:
    """The signals that ask this program to end. SIGHUP is left out if it is ignored: `nohup` does that. An ignored
    SIGINT is not left out: shells ignore it for every background program."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return tuple(one for one in numbers if one.name != "SIGHUP" or signal.getsignal(one) is not signal.SIG_IGN)


@contextlib.contextmanager
def handling(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Within the block, each of these signals calls `handler`."""
    with contextlib.ExitStack() as stack:
        for number in interrupts():
            before = signal.signal(number, handler)
            stack.callback(signal.signal, number, signal.SIG_DFL if before is None else before)
        if sys.platform == "win32":
            _hold_console()
        yield


def raise_and_wait(event: int) -> bool:
    """Handle an event of the Windows console, on a thread of the system. False: the system handles it.

    At the end of the console, of the user's session and of the system, Windows ends the program as soon as this
    function returns. Wait, so that the main thread can say goodbye and end the program.
    """
    if event not in (2, 5, 6):  # CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT
        return False
    signal.raise_signal(getattr(signal, "SIGBREAK", signal.SIGTERM))
    time.sleep(_TIMEOUT_GOODBYE_S)
    return True


if sys.platform == "win32":
    import ctypes
    import ctypes.wintypes

    _routine = ctypes.WINFUNCTYPE(ctypes.wintypes.BOOL, ctypes.wintypes.DWORD)(raise_and_wait)

    @functools.cache
    def _hold_console() -> None:
        """From now on the end of the console waits for the end of this program. It is never undone: that would wait for
        `raise_and_wait`."""
        ctypes.WinDLL("kernel32").SetConsoleCtrlHandler(_routine, True)
