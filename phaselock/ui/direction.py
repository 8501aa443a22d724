"""The order in which the letters of a text are drawn: Arabic and Hebrew are read from right to left.

Tk orders and joins the letters on Windows and macOS. On X11 it draws them from left to right, in the order of the
string, and does not join Arabic ones. There the library fribidi, which is part of nearly every Linux desktop, does both
by the Unicode Bidirectional Algorithm (UAX 9). Without it, texts are drawn as they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from phaselock.ui import theme

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_NOT_DRAWN = dict.fromkeys(map(ord, "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"))
"""Marks of direction, and what fribidi leaves in the place of a letter that it has joined to another."""
_BASE_LEFT, _BASE_RIGHT = 0x110, 0x111
"""FRIBIDI_PAR_LTR and FRIBIDI_PAR_RTL."""


def isolated(text: str) -> str:
    """A title or a name that has a direction of its own, by its first letter, also inside of another text."""
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if _RIGHT_TO_LEFT.search(text) and _needed() else text


def visual(text: str) -> str:
    """The text in the order in which Tk draws it here. Each line is ordered for itself."""
    if not _RIGHT_TO_LEFT.search(text) or not _needed():
        return text
    return "\n".join(map(_ordered, text.split("\n")))


def wrapped(text: str, font: Any, width: int) -> str:
    """The same for a text that is wrapped at `width` pixels. The lines are broken before they are ordered: a word that
    is read first must not get into a later line."""
    if not _RIGHT_TO_LEFT.search(text) or not _needed() or width <= 0:
        return visual(text)
    return "\n".join(_ordered(line) for part in text.split("\n") for line in _lines(part, font, width))


def _lines(text: str, font: Any, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and theme.measure(longer, font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _needed() -> bool:
    return theme.root().tk.call("tk", "windowingsystem") == "x11" and _log2vis() is not None


def _ordered(line: str) -> str:
    log2vis = _log2vis()
    assert log2vis is not None
    return log2vis(line).translate(_NOT_DRAWN)


@functools.cache
def _log2vis() -> Callable[[str], str] | None:
    """Orders and joins one line; None: fribidi is not here."""
    import ctypes  # imported late: most users have no such names

    try:
        library = ctypes.CDLL("libfribidi.so.0")
        call = library.fribidi_log2vis
    except (OSError, AttributeError):
        return None

    def log2vis(line: str) -> str:
        count = len(line)
        given, ordered = (ctypes.c_uint32 * (count + 1))(*map(ord, line)), (ctypes.c_uint32 * (count + 1))()
        leftward = not any(letter.isalpha() and not _RIGHT_TO_LEFT.match(letter) for letter in line)
        base = ctypes.c_uint32(_BASE_RIGHT if leftward else _BASE_LEFT)
        done = call(given, count, ctypes.byref(base), ordered, None, None, None)
        return "".join(map(chr, ordered[:count])) if done else line

    return log2vis
