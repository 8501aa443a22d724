"""The lines that a user has typed in sessions, in a file that only the user can read."""

from __future__ import annotations

import contextlib
import os
import pathlib

from phaselock.storage.files import open_regular, replace_file

MAX_LINES = 1000
"""As many of the newest lines are kept."""
MAX_LINE_CHARS = 1000
MAX_FILE_BYTES = 4 * MAX_LINE_CHARS * MAX_LINES
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class TypedLines:
    """The kept lines. A file that cannot be read or written is left alone: the lines are a convenience."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def load(self) -> list[str]:
        """All kept lines, oldest first."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            with open_regular(self._path) as file:
                lines = file.read(MAX_FILE_BYTES + 1).decode("utf-8", "replace").splitlines()
            if len(lines) > MAX_LINES:  # Windows replaces no open file
                lines = lines[-MAX_LINES:]
                replace_file(self._path, "".join(f"{line}\n" for line in lines).encode())
        return lines

    def keep(self, line: str) -> None:
        """Keep a line, after all others, unless it tells the code of a session or is a message to others."""
        text = " ".join(line.split())[:MAX_LINE_CHARS]
        if text.casefold().startswith(("code ", "say ")):
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(self._path, _FLAGS, 0o600), "wb") as file:
                file.write(f"{text}\n".encode("utf-8", "replace"))
