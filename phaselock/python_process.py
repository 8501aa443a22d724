"""How to start another Python that imports the same phaselock."""

from __future__ import annotations

import os
import pathlib
import re
import sys

from phaselock.errors import PhaseLockError


def python_command(*arguments: str) -> list[str]:
    """The command that starts this Python with these arguments. PhaseLockError if there is none: in some bundles
    `sys.executable` is not Python but the program itself, which would open another window."""
    name = pathlib.PureWindowsPath(sys.executable or "").name  # it takes both kinds of slashes
    if not re.match(r"(python|pypy)", name, re.IGNORECASE):
        raise PhaseLockError("This installation of PhaseLock cannot start another Python.")
    return [sys.executable, *arguments]


def environment() -> dict[str, str]:
    """Environment variables with which a child process imports the same phaselock as this one, not a copy in the
    current directory. It writes UTF-8; on Windows it would write the ANSI code page into a pipe or file."""
    house = str(pathlib.Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [house, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
