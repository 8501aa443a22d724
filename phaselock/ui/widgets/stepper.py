"""A value between two buttons that change it by a step."""

from __future__ import annotations

import functools
import tkinter as tk
from collections.abc import Callable
from typing import Any, Literal

from phaselock.ui import theme
from phaselock.ui.widgets.buttons import IconButton

_BUTTON = 32


class Stepper(tk.Frame):
    """`on_step(-1)` or `on_step(1)` is called at a click; `set` shows the value. Its buttons never move."""

    def __init__(
        self, master: Any, on_step: Callable[[Literal[-1, 1]], object], less: str, more: str, width: int
    ) -> None:
        ground = theme.behind(master)
        super().__init__(master, background=ground, borderwidth=0, highlightthickness=0)
        self.less = IconButton(self, "minus", functools.partial(on_step, -1), diameter=_BUTTON, tooltip=less)
        self.more = IconButton(self, "add", functools.partial(on_step, 1), diameter=_BUTTON, tooltip=more)
        place = tk.Frame(self, background=ground, width=theme.px(width), height=theme.px(_BUTTON))
        place.pack_propagate(False)
        self._value = tk.Label(
            place, background=ground, foreground=theme.TEXT, font=theme.canvas_font(theme.SECONDARY), padx=0, pady=0
        )
        self._value.pack(expand=True)
        self.less.pack(side="left")
        place.pack(side="left")
        self.more.pack(side="left")

    def set(self, text: str, *, can_less: bool, can_more: bool) -> None:
        """Show this value, and which of the buttons do something."""
        self._value.configure(text=text)
        self.less.set_enabled(can_less)
        self.more.set_enabled(can_more)
