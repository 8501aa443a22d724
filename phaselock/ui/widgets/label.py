"""A label of customtkinter whose text may contain names that are read from right to left."""

from __future__ import annotations

from typing import Any

from phaselock.ui.direction import visual, wrapped
from phaselock.ui.theme import ctk


class Label(ctk.CTkLabel):  # type: ignore[misc]  # customtkinter has no types
    """`text` is in reading order; `cget("text")` returns it as it is drawn."""

    def __init__(self, master: Any, text: str = "", **options: Any) -> None:
        super().__init__(master, text=visual(text), **options)
        self._read = text
        if options.get("wraplength"):
            self.configure(text=text)

    def configure(self, require_redraw: bool = False, **options: Any) -> None:
        if "text" in options or "wraplength" in options:
            self._read = options.get("text", self._read)
            width = options.get("wraplength", self.cget("wraplength"))
            family, size, *style = self.cget("font")
            options["text"] = wrapped(self._read, (family, -size, *style), int(width or 0))  # it takes pixels, too
        super().configure(require_redraw=require_redraw, **options)
