"""Reads QR codes back from pictures, as the camera of a phone does."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Sequence

PIXELS = 4
"""Side of a module in a picture of a terminal."""
MARGIN = 24
"""Pixels of the terminal's ground around it."""


def unavailable() -> str:
    """Why no code can be read here; empty if one can."""
    return "" if shutil.which("zbarimg") else "zbarimg is not installed"


def read_picture(file: pathlib.Path) -> str:
    """The text of the only code in a picture; empty if there is none."""
    command = ["zbarimg", "--quiet", "--raw", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()


def read_terminal(lines: Sequence[str], folder: pathlib.Path) -> str:
    """The text of the code that these lines draw in light characters on a dark ground. `folder` gets the picture."""
    modules = [[character in light for character in line] for line in lines for light in ("█▀", "█▄")]
    side, edge = len(modules[0]) * PIXELS + 2 * MARGIN, bytes(MARGIN)
    rows = [edge + b"".join(bytes([255 * light]) * PIXELS for light in row) + edge for row in modules]
    empty = [bytes(side)] * MARGIN
    picture = [*empty, *(row for row in rows for _ in range(PIXELS)), *empty]
    file = folder / "terminal.pgm"
    file.write_bytes(b"P5 %d %d 255\n" % (side, len(picture)) + b"".join(picture))
    return read_picture(file)
