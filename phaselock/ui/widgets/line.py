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
        self._text = ""
        self.bind("<Configure>", lambda event: self._fit(event.width), add="+")
        tips.attach(self, lambda: self._text if self.cut else "")

    @property
    def cut(self) -> bool:
        """True if only the beginning of the text is shown."""
        return theme.measure(self._text, self._font) > self.winfo_width() > 1

    def set(self, text: str, colour: str | None = None) -> None:
        """Set the text, in reading order, and its colour (None: as it is)."""
        if colour is not None and colour != self.cget("foreground"):
            tk.Label.configure(self, foreground=colour)
        if text != self._text:
            self._text = text
            self._fit(self.winfo_width())

    def _fit(self, width: int) -> None:
        shown = visual(theme.ellipsis(self._text, self._font, width) if width > 1 else self._text)
        if shown != self.cget("text"):
            tk.Label.configure(self, text=shown)
