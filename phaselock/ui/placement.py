"""The size of the window, and its place on the screen."""

from __future__ import annotations

import re
import tkinter

from phaselock.ui import theme
from phaselock.ui.theme import px

FIRST_SIZE = (1100, 720)
MIN_SIZE = (900, 600)
MAX_FRAME = 20
"""Windows counts an invisible frame of about 8 pixels a side: a window at the left edge of the screen begins at -8."""


def geometry(remembered: object, root: tkinter.Misc) -> str:
    """The stored position and size if it is on the screen; else the first size."""
    if isinstance(remembered, str) and (found := re.fullmatch(r"(\d+)x(\d+)\+(-?\d+)\+(-?\d+)", remembered)):
        width, height, x, y = map(int, found.groups())
        if width >= px(MIN_SIZE[0]) and height >= px(MIN_SIZE[1]) and -MAX_FRAME <= x < root.winfo_screenwidth() - 100:
            if 0 <= y < root.winfo_screenheight() - 100:
                return remembered
    return "{}x{}".format(*map(px, FIRST_SIZE))


def fits(factor: float, root: tkinter.Misc) -> bool:
    """A window whose text is larger by this factor has room on the screen."""
    width, height = (side * theme.scale_of_screen() * factor for side in MIN_SIZE)
    return bool(width <= root.winfo_screenwidth() and height <= root.winfo_screenheight())
