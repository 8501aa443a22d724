"""The size of the window, and its place on the screen."""

from __future__ import annotations

import re
import tkinter

from phaselock.ui import theme
from phaselock.ui.theme import px

FIRST_SIZE = (1100, 720)
MIN_SIZE = (900, 560)
"""With a title bar, a window of this size fits into a screen of 900 × 600."""
TITLE_BAR = 40
"""Room on the screen for a title bar. Like the sizes, in pixels of the design."""
MAX_FRAME = 20
"""Windows counts an invisible frame of about 8 pixels a side: a window at the left edge of the screen begins at -8."""
_GEOMETRY = re.compile(r"(\d+)x(\d+)(\+(-?\d+)\+(-?\d+))?")


def geometry(remembered: object, root: tkinter.Misc) -> str:
    """The stored size, and the stored position if there is one, if the window is then on the screen; else the first
    size, or as much of it as the screen has room for."""
    room = root.winfo_screenwidth(), root.winfo_screenheight() - _title_bar()
    least = px(MIN_SIZE[0]), px(MIN_SIZE[1])
    if isinstance(remembered, str) and (found := _GEOMETRY.fullmatch(remembered)):
        width, height, x, y = (int(found[group] or 0) for group in (1, 2, 4, 5))
        if least[0] <= width <= room[0] and least[1] <= height <= room[1] and -MAX_FRAME <= x < room[0] - 100:
            if 0 <= y < room[1] - 100:
                return remembered
    return "{}x{}".format(*(max(min(px(a), b), c) for a, b, c in zip(FIRST_SIZE, room, least, strict=True)))


def position(shown: str) -> str:
    """The part of a geometry that is the position: "+30+40"; empty: it has none."""
    found = _GEOMETRY.fullmatch(shown)
    return (found[3] or "") if found else ""


def to_remember(shown: str, placed: str) -> str:
    """What is stored of a geometry. `placed`: where the window manager has put the window: if it is still there, the
    user has chosen no position."""
    return shown.removesuffix(placed)


def fits(factor: float, root: tkinter.Misc) -> bool:
    """A window whose text is larger by this factor has room on the screen."""
    width, height = (side * theme.scale_of_screen() * factor for side in MIN_SIZE)
    return bool(width <= root.winfo_screenwidth() and height + _title_bar() <= root.winfo_screenheight())


def _title_bar() -> int:
    """In pixels of the screen. The size of the text does not change it."""
    return round(TITLE_BAR * theme.scale_of_screen())
