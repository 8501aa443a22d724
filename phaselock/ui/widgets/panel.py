"""Panels: groups of widgets on a surface with round corners."""

from __future__ import annotations

import math
import tkinter as tk
from typing import Any

from phaselock.ui import theme
from phaselock.ui.theme import ctk
from phaselock.ui.widgets.raster import image, rounded

RADIUS = 12
PAD = 16


def _corner(name: str, fill: str, ground: str) -> tk.PhotoImage:
    size = math.ceil(theme.px(RADIUS))

    def make() -> tk.PhotoImage:
        x, y = (-size if "e" in name else 0), (-size if "s" in name else 0)
        return image(size, size, [([rounded(x, y, x + 2 * size, y + 2 * size, size)], fill)], ground)

    return theme.kept(("corner", name, fill, ground), make)


class Panel(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """A surface with round corners: `header` (created with a title, or at first use) above `body`. `plain`: with square
    corners, for a panel over something that has not one colour."""

    def __init__(self, master: Any, title: str = "", *, fill: str = theme.SURFACE, plain: bool = False) -> None:
        ground = theme.behind(master)
        super().__init__(master, fg_color=fill, corner_radius=0)
        self._fill = fill
        # The corners are placed images, so that a new size of the window needs no drawing.
        names = () if plain else ("nw", "ne", "se", "sw")
        self._corners = [_corner(name, fill, ground) for name in names]
        for name, picture in zip(names, self._corners, strict=True):
            # With its own background: it is shown for a moment before its picture is.
            label = tk.Label(self, image=picture, background=ground, borderwidth=0, highlightthickness=0)
            tk.Label.place(label, relx=float("e" in name), rely=float("s" in name), anchor=name)  # type: ignore[arg-type]  # the stub knows only literals
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure(1, weight=1)
        self.body = ctk.CTkFrame(self, fg_color=fill, corner_radius=0)
        pad = theme.px(PAD)
        self.body.grid(row=1, column=0, sticky="nsew", padx=pad, pady=pad)
        self._header: Any = None
        self._title: tk.Label | None = None
        self._note: tk.Label | None = None
        self._tools_width = 0
        if title:
            self.set_title(title)

    @property
    def header(self) -> Any:
        """The line above the body; pack chips and buttons to its right side."""
        if self._header is None:
            pad = theme.px(PAD)
            self._header = ctk.CTkFrame(self, fg_color=self._fill, corner_radius=0, height=theme.px(32))
            self.grid_rowconfigure(0, minsize=theme.px(44))
            self._header.grid(row=0, column=0, sticky="ew", padx=pad, pady=(theme.px(12), 0))
            self.body.grid(row=1, column=0, sticky="nsew", padx=pad, pady=(theme.px(8), pad))
        return self._header

    def set_title(self, title: str) -> None:
        """Set the title."""
        if self._title is None:
            self._title = self._label(theme.TEXT, theme.canvas_font(theme.BODY, True))
            self._title.pack(side="left", pady=theme.px(4))
        self._title.configure(text=title)

    def set_tools(self, *tools: Any) -> None:
        """Put small buttons, children of the header, at its right end. They do not widen the panel."""
        self._tools_width = 0
        for tool in reversed(tools):
            tool.place(relx=1.0, rely=0.0, x=-self._tools_width, anchor="ne")
            self._tools_width += tool.winfo_reqwidth() + theme.px(4)

    def set_note(self, text: str, width: int) -> None:
        """Set a short text beside the title, or below it if both together are wider than `width` pixels."""
        assert self._title is not None, "a note needs a title"
        if self._note is None:
            self._note = self._label(theme.TEXT_SECONDARY, theme.canvas_font(theme.CAPTION))
        self._note.configure(text=text)
        if self._title.winfo_reqwidth() + theme.px(8) + self._note.winfo_reqwidth() + self._tools_width <= width:
            self._note.pack(side="right", after=self._title, padx=(0, self._tools_width))
        else:
            self._note.pack(side="bottom", anchor="w", before=self._title, padx=0)

    def _label(self, colour: str, font: tuple[str, int, str]) -> tk.Label:
        return tk.Label(self.header, background=self._fill, foreground=colour, font=font, padx=0, pady=0)
