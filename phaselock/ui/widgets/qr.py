"""QR codes, for cameras."""

from __future__ import annotations

import tkinter as tk

from phaselock.ui import theme
from phaselock.ui.widgets.raster import png

QUIET_ZONE = 4
"""Modules of white around the code, at least (ISO/IEC 18004)."""


def qr_image(text: str, size: int) -> tk.PhotoImage:
    """The code of a text: dark on white in every palette, because many cameras read no other. `size`: limit of its
    sides in pixels; each module has a whole number of them, at least one."""

    def make() -> tk.PhotoImage:
        import segno  # late: most sessions show no code

        modules = segno.make(text, error="m", micro=False).matrix
        side = len(modules) + 2 * QUIET_ZONE
        scale = max(size // side, 1)
        white = b"\xff\xff\xff" * scale
        edge = white * QUIET_ZONE
        empty = [white * side] * QUIET_ZONE
        lines = [edge + b"".join(bytes(3 * scale) if dark else white for dark in row) + edge for row in modules]
        rows = [line for line in (*empty, *lines, *empty) for _ in range(scale)]
        return tk.PhotoImage(master=theme.root(), data=png(rows, side * scale))

    return theme.kept(("qr", text, size), make)
