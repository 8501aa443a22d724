"""QR codes, for cameras."""

from __future__ import annotations

import tkinter as tk
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.icons import icon
from phaselock.ui.widgets.raster import plate, png

QUIET_ZONE = 4
"""Modules of white around the code, at least (ISO/IEC 18004)."""
_RADIUS = 12


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


class QrPicture(Drawing):
    """The code of a text, or an icon in its place while there is none."""

    def __init__(self, master: Any, size: int, sign: str) -> None:
        """`size`: of its sides, in pixels of the design. `sign`: the name of the icon."""
        super().__init__(master, theme.px(size), theme.px(size))
        self._shown: str | None = None
        self._name = sign
        self._side = theme.px(size)
        self._image = self.create_image(self._side / 2, 0, anchor="n")
        self._sign = self.create_image(self._side / 2, self._side / 2, anchor="center")

    def show(self, text: str) -> None:
        """Show the code of this text; empty: the icon."""
        if text != self._shown:
            self._shown = text
            self.paint()

    def paint(self) -> None:
        if self._shown is None:
            return
        fill = theme.present(theme.ELEVATED)
        code = qr_image(self._shown, self._side) if self._shown else None
        image = code or plate(self._side, self._side, theme.px(_RADIUS), fill, self.ground)
        self.itemconfigure(self._image, image=self.hold("image", image))
        sign = icon(self._name, self._side // 3, theme.FAINT, fill)
        self.itemconfigure(self._sign, image=self.hold("sign", sign), state="hidden" if code else "normal")
