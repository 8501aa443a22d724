"""The logo: two waves in phase, one green, one white. The icons of the program are drawn from the same curves."""

from __future__ import annotations

import math
import tkinter as tk
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.raster import Layer, Points, image, paint, png, ribbon, rounded, scaled

_SIZES = (128, 48, 32, 16)


def _wave(y: float, height: float, line: float) -> list[Points]:
    """The curve of a wave: one and a half periods over a field of 24."""
    steps = 36
    points = [(2.2 + 19.6 * i / steps, y - height * math.sin(3 * math.pi * i / steps)) for i in range(steps + 1)]
    return ribbon(points, line)


def _layers(line: float) -> list[Layer]:
    return [(_wave(14.8, 3.7, line), theme.PRIMARY), (_wave(9.2, 3.7, line), theme.TEXT)]


def icon_png(size: int) -> bytes:
    """The icon of the program as a PNG file, `size` pixels wide and high. Needs no display."""
    line = 1.7 if size > 32 else 2.2
    factor, edge = size / 24, size * 0.1
    waves: list[Layer] = [(scaled(shape, factor * 0.8, edge, edge), colour) for shape, colour in _layers(line)]
    tile: Layer = ([rounded(0, 0, size, size, size * 0.22)], theme.BACKGROUND)
    return png(paint(size, size, [tile, *waves], None), size)


class Logo(Drawing):
    """The logo, `size` pixels of the design wide and high."""

    def __init__(self, master: Any, size: int) -> None:
        pixels = theme.px(size)
        super().__init__(master, pixels, pixels)
        layers: list[Layer] = [(scaled(shape, pixels / 24), colour) for shape, colour in _layers(1.5)]
        picture = theme.kept(("logo", pixels, self.ground), lambda: image(pixels, pixels, layers, self.ground))
        self.create_image(0, 0, anchor="nw", image=self.hold("logo", picture))


def icon_images(root: tk.Misc) -> list[tk.PhotoImage]:
    """Images for `iconphoto`, largest first as Tk requires; it copies them."""
    return [tk.PhotoImage(master=root, data=icon_png(size)) for size in _SIZES]
