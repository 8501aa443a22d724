"""A process without a console: Python then has no standard output and no standard error.

On Windows, pythonw.exe and the launchers of `gui-scripts` start such a process. A write to None raises an exception,
and no user sees an error.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable

MAX_TEXT = 2000
"""Limit of the shown text in characters: the box must fit on the screen. The newest text is kept."""
_MB_ICONERROR = 0x10
_MB_QUESTION = 0x10000 | 0x100 | 0x20 | 0x4
"""In front, with the second button as the default, a question mark, and the buttons Yes and No."""
_IDYES = 6


class _NewestText(io.TextIOBase):
    """A text file that keeps the newest MAX_TEXT characters in memory."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-MAX_TEXT:]
        return len(text)


def show_message(text: str) -> None:
    """Show a box with this text until the user closes it. Only on Windows: elsewhere nothing that is always there can
    show one. It needs no Tk, whose absence may be the error."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.MessageBoxW(None, text, "PhaseLock", _MB_ICONERROR)


def ask(text: str) -> bool | None:
    """Show a box with this question until the user answers Yes or No. None if no box can be shown: see
    `show_message`."""
    if sys.platform == "win32":
        import ctypes

        answer: int = ctypes.windll.user32.MessageBoxW(None, text, "PhaseLock", _MB_QUESTION)
        return answer == _IDYES
    return None


def run(main: Callable[[], int]) -> int:
    """Call `main` and return its exit status. If the process has no standard error, a box shows what `main` has written
    there, unless it succeeds; an exception then becomes a traceback and status 1. SystemExit passes through."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is not None:
        return main()
    sys.stderr = errors = _NewestText()
    status = 1
    try:
        status = main()
    except SystemExit as ended:  # of argparse: wrong arguments, or a question for help
        status = 0 if ended.code is None else 1
        raise
    except Exception:  # there is no console: the box shows the traceback
        traceback.print_exc()
    finally:
        if status and errors.text:
            show_message(errors.text.strip())
    return status
