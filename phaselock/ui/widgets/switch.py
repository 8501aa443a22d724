"""A switch: on or off, by the place of its knob and by its colour."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.buttons import Clickable
from phaselock.ui.widgets.raster import Layer, disc, image, rounded

_WIDTH, _HEIGHT, _LINE, _INSET, _KNOB = 52, 32, 2, 4, 16


class Switch(Clickable):
    """Click, space and Return call `on_switch` with what the user wants. It shows only what `set_on` has told, so it is
    never ahead of the session."""

    def __init__(self, master: Any, on_switch: Callable[[bool], object]) -> None:
        self.on = False
        super().__init__(master, theme.px(_WIDTH), theme.px(_HEIGHT), command=lambda: on_switch(not self.on))
        self._face = self.create_image(0, 0, anchor="nw")
        self.paint()

    def set_on(self, on: bool) -> None:
        """Show whether it is on."""
        if on != self.on:
            self.on = on
            self.paint()

    def paint(self) -> None:
        lit = self.hovered
        if self.on:
            edge = fill = theme.PRIMARY_HOVER if lit else theme.PRIMARY
            knob = theme.ON_PRIMARY
        else:
            edge, fill, knob = theme.REST, self.ground, theme.TEXT if lit else theme.TEXT_SECONDARY
        ring = theme.present(theme.FOCUS) if self.keyboard else self.ground
        colours = ring, theme.present(edge), theme.present(fill), theme.present(knob)
        self.itemconfigure(self._face, image=self.hold("face", _face(colours, self.ground, self.on)))


def _face(colours: tuple[str, str, str, str], ground: str, on: bool) -> tk.PhotoImage:
    """`colours`: of the ring around it, its edge, its inside and its knob."""
    width, height = theme.px(_WIDTH), theme.px(_HEIGHT)

    def make() -> tk.PhotoImage:
        line, inset = theme.px(_LINE), theme.px(_INSET)
        knob_x = width - height / 2 if on else height / 2
        insets = zip((0, line, inset, inset + line), (colours[0], ground, *colours[1:3]), strict=True)
        layers: list[Layer] = [([rounded(i, i, width - i, height - i, height / 2 - i)], colour) for i, colour in insets]
        return image(width, height, [*layers, ([disc(knob_x, height / 2, theme.px(_KNOB) / 2)], colours[3])], ground)

    return theme.kept(("switch", width, colours, ground, on), make)
