"""Chips: a short text in a small pill, for phase error and readiness."""

from __future__ import annotations

from typing import Any, Literal

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.raster import plate

HEIGHT = 22
PAD = 10
KINDS = {"neutral": theme.TEXT_SECONDARY, "good": theme.TEXT, "warning": theme.WARNING, "error": theme.ERROR_TEXT}


def fill_of(colour: str, ground: str) -> str:
    """The background colour of a chip with text of this colour."""
    return theme.blend(colour, ground, 0.15)


class Chip(Drawing):
    """One chip; without text it has no width."""

    def __init__(self, master: Any) -> None:
        super().__init__(master, 1, theme.px(HEIGHT))
        self._now = ("", "")
        self._plate = self.create_image(0, 0, anchor="nw")
        self._words = self.create_text(0, 0, font=theme.canvas_font(theme.CAPTION), anchor="center")

    def set(self, text: str, kind: Literal["neutral", "good", "warning", "error"] = "neutral") -> None:
        """Set text and kind."""
        if self._now == (text, kind):
            return
        self._now = (text, kind)
        if not text:
            self.configure(width=1)
            self.itemconfigure("all", state="hidden")
            return
        height = theme.px(HEIGHT)
        # Widths in steps, so that a changing number does not change the width all the time.
        step = theme.px(8)
        wanted = theme.measure(text, theme.canvas_font(theme.CAPTION)) + 2 * theme.px(PAD)
        width = -(-wanted // step) * step
        colour = theme.present(KINDS[kind])
        image = plate(width, height, height / 2, fill_of(colour, self.ground), self.ground)
        self.configure(width=width)
        self.itemconfigure(self._plate, image=self.hold("plate", image), state="normal")
        self.itemconfigure(self._words, text=text, fill=colour, state="normal")
        self.coords(self._words, width / 2, height / 2)
