"""Secrets on the command line: asked for without an echo, and hidden from those who list the processes."""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import pathlib
import sys

CODE_VARIABLE = "PHASELOCK_CODE"
"""Environment variable with the code of a session, for services."""
_PLACE_FIELDS = 48, 49
"""Of /proc/self/stat: where the arguments begin and end in memory (proc(5): arg_start, arg_end)."""


def can_ask() -> bool:
    """Whether a user sits at standard input."""
    return sys.stdin.isatty()


def ask_code(question: str) -> str:
    """What the user types; empty if the user gives up."""
    try:
        return getpass.getpass(question)
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)
        return ""


def hide_argument(secret: str) -> None:
    """Overwrite this argument in the memory from which the system tells the command lines of processes. Only Linux lets
    a process do that."""
    if sys.platform != "linux" or not secret:
        return
    with contextlib.suppress(OSError, ValueError):
        # The fields behind the name of the program, which may contain blanks, begin with the third one.
        fields = pathlib.Path("/proc/self/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
        begin, end = (int(fields[number - 3]) for number in _PLACE_FIELDS)
        arguments = ctypes.string_at(begin, end - begin)
        hidden = os.fsencode(secret)
        for before in (b"\0", b"\0--code="):
            at = arguments.find(before + hidden + b"\0")
            if at >= 0:
                ctypes.memset(begin + at + len(before), ord("*"), len(hidden))
