"""Shows a file in the file manager of the system."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading


def show_file(path: pathlib.Path) -> None:
    """Show a file in its folder; on Linux only the folder. Returns at once; without a file manager nothing happens."""
    threading.Thread(target=_run, args=(command(path, sys.platform),), name="file manager", daemon=True).start()


def command(path: pathlib.Path, platform: str) -> list[str] | str:
    """The command of a platform (as in `sys.platform`)."""
    if platform == "win32":
        return f'explorer /select,"{path}"'  # explorer does not read the quotes that subprocess would write
    return ["open", "-R", str(path)] if platform == "darwin" else ["xdg-open", str(path.parent)]


def _run(words: list[str] | str) -> None:
    nothing = subprocess.DEVNULL
    try:
        subprocess.run(words, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, check=False)
    except OSError:
        return
