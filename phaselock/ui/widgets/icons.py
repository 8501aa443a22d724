"""The icons, as polygons in a field of 24 by 24. Font glyphs differ between platforms and are often missing."""

from __future__ import annotations

import math
import tkinter as tk
from collections.abc import Callable

from phaselock.ui import theme
from phaselock.ui.widgets.raster import (
    Layer,
    Points,
    arc,
    disc,
    dot,
    hole,
    image,
    plate,
    polygon,
    rounded,
    scaled,
    stroke,
)

FIELD = 24
_LINE = 1.9
_PIPS = ((8, 8), (16, 8), (12, 12), (8, 16), (16, 16))


def _speaker() -> list[Points]:
    return [polygon((3, 9), (7, 9), (12, 4.5), (12, 19.5), (7, 15), (3, 15))]


def _gear() -> list[Points]:
    teeth: list[tuple[float, float]] = []
    for i in range(8):
        for radius, shift in ((7.0, -0.26), (9.6, -0.17), (9.6, 0.17), (7.0, 0.26)):
            angle = i * math.pi / 4 + shift
            teeth.append((12 + radius * math.cos(angle), 12 + radius * math.sin(angle)))
    return [polygon(*teeth), hole(disc(12, 12, 3.2))]


def _note() -> list[Points]:
    return [
        disc(7.6, 17.4, 3.1),
        disc(17.1, 15.4, 3.1),
        polygon((8.9, 6.2), (20.2, 3.8), (20.2, 7.4), (8.9, 9.8)),
        polygon((8.9, 6.2), (10.7, 6), (10.7, 17.4), (8.9, 17.4)),
        polygon((18.4, 4.4), (20.2, 4.4), (20.2, 15.4), (18.4, 15.4)),
    ]


def _qr() -> list[Points]:
    finders = [
        part
        for x, y in ((3, 3), (13.6, 3), (3, 13.6))
        for part in (rounded(x, y, x + 7.4, y + 7.4, 1), hole(rounded(x + 1.8, y + 1.8, x + 5.6, y + 5.6, 0.4)))
    ]
    dots = [
        rounded(x, y, x + 2.4, y + 2.4, 0.4)
        for x, y in ((13.6, 13.6), (18.6, 13.6), (16.1, 16.1), (13.6, 18.6), (18.6, 18.6))
    ]
    return [*finders, *dots]


def _globe() -> list[Points]:
    meridian = [(12 + 4 * math.cos(angle), 12 + 9 * math.sin(angle)) for angle in (i * math.pi / 12 for i in range(24))]
    return [
        disc(12, 12, 9.6),
        hole(disc(12, 12, 8)),
        *stroke(meridian, 1.6, closed=True),
        *(rounded(12 - half, y - 0.8, 12 + half, y + 0.8, 0.4) for y, half in ((8.4, 8), (15.6, 8))),
    ]


def _next() -> list[Points]:
    return [polygon((5.5, 5.2), (15.6, 12), (5.5, 18.8)), rounded(16.2, 5.2, 18.6, 18.8, 0.6)]


SHAPES: dict[str, Callable[[], list[Points]]] = {
    "play": lambda: [polygon((7.8, 4.6), (19.6, 12), (7.8, 19.4))],
    "pause": lambda: [rounded(6.6, 4.8, 10.4, 19.2, 0.8), rounded(13.6, 4.8, 17.4, 19.2, 0.8)],
    "stop": lambda: [rounded(6.2, 6.2, 17.8, 17.8, 1.2)],
    "next": _next,
    "previous": lambda: [polygon(*((24 - x, y) for x, y in points)) for points in _next()],
    "shuffle": lambda: [
        *stroke([(3, 7), (6.5, 7), (15, 17), (17.5, 17)], _LINE),
        *stroke([(3, 17), (6.5, 17), (9.2, 13.8)], _LINE),
        *stroke([(12.3, 10.2), (15, 7), (17.5, 7)], _LINE),
        polygon((17, 3.6), (21.6, 7), (17, 10.4)),
        polygon((17, 13.6), (21.6, 17), (17, 20.4)),
    ],
    "repeat": lambda: [
        *stroke([(4.4, 12.5), (4.4, 9.4), (6.4, 7.4), (16, 7.4)], _LINE),
        *stroke([(19.6, 11.5), (19.6, 14.6), (17.6, 16.6), (8, 16.6)], _LINE),
        polygon((15.4, 4), (20, 7.4), (15.4, 10.8)),
        polygon((8.6, 13.2), (4, 16.6), (8.6, 20)),
    ],
    "spectrum": lambda: [
        rounded(x, 12 - high, x + 2.6, 12 + high, 1) for x, high in zip((3, 8, 13.4, 18.4), (3, 7, 4.6, 2), strict=True)
    ],
    "minus": lambda: [rounded(4.5, 11, 19.5, 13, 1)],
    "vote": lambda: stroke([(5.6, 17.4), (12, 6.4), (18.4, 17.4)], _LINE, closed=True),
    "voted": lambda: [polygon((12, 4.8), (20, 18.6), (4, 18.6))],
    "phone": lambda: [
        rounded(6.4, 2.6, 17.6, 21.4, 2.2),
        hole(rounded(8.2, 5.4, 15.8, 17.2, 0.4)),
        hole(disc(12, 19.3, 1)),
    ],
    "globe": _globe,
    "add": lambda: [rounded(11, 4.5, 13, 19.5, 1), rounded(4.5, 11, 19.5, 13, 1)],
    "close": lambda: [*stroke([(7, 7), (17, 17)], _LINE), *stroke([(17, 7), (7, 17)], _LINE)],
    "tick": lambda: stroke([(5, 12.6), (10, 17.4), (19.2, 7.2)], 2.4),
    "cross": lambda: [*stroke([(6.4, 6.4), (17.6, 17.6)], 2.4), *stroke([(17.6, 6.4), (6.4, 17.6)], 2.4)],
    "copy": lambda: [
        rounded(8.5, 8.5, 20, 20, 2),
        hole(rounded(10.3, 10.3, 18.2, 18.2, 0.8)),
        *stroke([(5.4, 14.9), (4.9, 14.4), (4.9, 5.4), (5.4, 4.9), (14.4, 4.9), (14.9, 5.4)], 1.8),
    ],
    "volume": lambda: [
        *_speaker(),
        *stroke(arc(12, 12, 4.2, -42, 42), _LINE),
        *stroke(arc(12, 12, 8.4, -46, 46), _LINE),
    ],
    "muted": lambda: [*_speaker(), *stroke([(15.4, 9), (21.2, 15)], _LINE), *stroke([(21.2, 9), (15.4, 15)], _LINE)],
    "channels": lambda: [
        *(rounded(x, 4, x + 8, 20, 1.6) for x in (2.6, 13.4)),
        *(hole(disc(x, 8.2, 1.3)) for x in (6.6, 17.4)),
        *(hole(disc(x, 14.6, 2.5)) for x in (6.6, 17.4)),
    ],
    "qr": _qr,
    "search": lambda: [disc(10.4, 10.4, 6.9), hole(disc(10.4, 10.4, 4.9)), *stroke([(15.4, 15.4), (20.4, 20.4)], 2.4)],
    "dice": lambda: [rounded(3.4, 3.4, 20.6, 20.6, 3), *(hole(disc(x, y, 1.8)) for x, y in _PIPS)],
    "settings": _gear,
    "down": lambda: stroke([(4, 8), (12, 16), (20, 8)], 2.6),
    "back": lambda: stroke([(15, 5), (8, 12), (15, 19)], 2.2),
    "chat": lambda: [
        rounded(3, 4.4, 21, 16.6, 3),
        polygon((6.6, 16), (13, 16), (6.6, 21.2)),
        *(hole(disc(x, 10.5, 1.4)) for x in (7.8, 12, 16.2)),
    ],
    "send": lambda: [polygon((3.4, 4), (21.4, 12), (3.4, 20), (5.6, 13.4), (14, 12), (5.6, 10.6))],
    "more": lambda: [disc(5.5, 12, 1.9), disc(12, 12, 1.9), disc(18.5, 12, 1.9)],
    "chart": lambda: stroke([(2.8, 13), (7, 13), (10, 5.5), (14, 18.5), (17, 11), (21.2, 11)], _LINE),
    "drag": lambda: [disc(x, y, 1.5) for x in (9, 15) for y in (6.5, 12, 17.5)],
    "folder": lambda: [rounded(3, 7, 21, 19.5, 1.6), rounded(3, 4.5, 10.5, 10, 1.6)],
    "music": _note,
    "closed": lambda: stroke([(9.5, 6), (15.5, 12), (9.5, 18)], _LINE),
    "open": lambda: stroke([(6, 9.5), (12, 15.5), (18, 9.5)], _LINE),
}
"""Made when an icon is drawn: all together take half a megabyte."""


def icon(name: str, size: int, colour: str, ground: str | None, *, glyph: float = 1.0) -> tk.PhotoImage:
    """An icon in a square of `size` pixels; its field has the share `glyph` of that."""

    def make() -> tk.PhotoImage:
        factor = size * glyph / FIELD
        edge = size * (1 - glyph) / 2
        return image(size, size, [(scaled(SHAPES[name](), factor, edge, edge), colour)], ground)

    return theme.kept(("icon", name, size, colour, ground, glyph), make)


def disc_icon(
    name: str, size: int, colour: str, disc_colour: str, ground: str, *, glyph: float, ring: bool = False
) -> tk.PhotoImage:
    """An icon on a disc; `ring`: with the focus ring."""

    def make() -> tk.PhotoImage:
        middle, factor, edge = size / 2, size * glyph / FIELD, size * (1 - glyph) / 2
        layers: list[Layer] = [([disc(middle, middle, middle)], disc_colour)]
        if ring:
            line = theme.px(2)
            layers = [
                ([disc(middle, middle, middle)], theme.FOCUS),
                ([disc(middle, middle, middle - line)], ground),
                ([disc(middle, middle, middle - (2 * line if disc_colour != ground else line))], disc_colour),
            ]
        return image(size, size, [*layers, (scaled(SHAPES[name](), factor, edge, edge), colour)], ground)

    return theme.kept(("disc", name, size, colour, disc_colour, ground, glyph, ring), make)


__all__ = ["FIELD", "SHAPES", "disc_icon", "dot", "icon", "plate"]
