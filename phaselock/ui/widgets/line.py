"""A text in one line, as wide as its place."""

from __future__ import annotations

import tkinter as tk
from typing import Any, Literal

from phaselock.ui import theme
from phaselock.ui.direction import visual
from phaselock.ui.widgets import tooltip as tips


class Line(tk.Label):
    """Asks for no width; a text that is too long for the width it gets ends in an ellipsis, and its tooltip is whole.

    So a text that changes moves nothing. Place it with `sticky="ew"`."""

    def __init__(
        self,
        master: Any,
        size: int,
        colour: str = theme.TEXT,
        *,
        bold: bool = False,
        anchor: Literal["w", "center", "e"] = "w",
    ) -> None:
        self._font = theme.canvas_font(size, bold)
        ground = theme.behind(master)
        super().__init__(
            master, width=1, font=self._font, background=ground, foreground=colour, anchor=anchor, padx=0, pady=0
        )
        self._text = self._short = ""
        self.bind("<Configure>", lambda event: self._fit(event.width), add="+")
        tips.attach(self, lambda: self._text if self.cut else "")

    @property
    def cut(self) -> bool:
        """True if the text is too long to be shown whole."""
        return theme.measure(self._text, self._font) > self.winfo_width() > 1

    def set(self, text: str, colour: str | None = None, short: str = "") -> None:
        """Set the text, in reading order, and its colour (None: as it is). `short`: instead of too long a text."""
        if colour is not None and colour != self.cget("foreground"):
            tk.Label.configure(self, foreground=colour)
        if (text, short) != (self._text, self._short):
            self._text, self._short = text, short
            self._fit(self.winfo_width())

    def _fit(self, width: int) -> None:
        text = self._short if self._short and self.cut else self._text
        shown = visual(theme.ellipsis(text, self._font, width) if width > 1 else text)
        if shown != self.cget("text"):
            tk.Label.configure(self, text=shown)
