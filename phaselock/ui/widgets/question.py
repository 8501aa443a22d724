"""A question about something that cannot be undone: it stays until it is answered."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.buttons import DangerButton, TextButton
from phaselock.ui.widgets.panel import Panel

_WIDTH = 320
"""Limit of the width of the text."""
_GAP = 8


class Question(Panel):
    """A text, a red button and one that cancels, which has the keyboard. The caller destroys it after the answer."""

    def __init__(
        self, root: Any, text: str, word: str, act: Callable[[], object], cancel: Callable[[], object]
    ) -> None:
        super().__init__(root, fill=theme.ELEVATED)
        self.text = text
        words = tk.Label(
            self.body,
            text=text,
            background=theme.ELEVATED,
            foreground=theme.TEXT,
            font=theme.canvas_font(theme.BODY, True),
            wraplength=theme.px(_WIDTH),
            justify="left",
        )
        words.pack(anchor="w", pady=(0, theme.px(16)))
        self.act = DangerButton(self.body, word, act)
        self.act.pack(side="right")
        self.cancel = TextButton(self.body, tr("Cancel"), cancel)
        self.cancel.pack(side="right", padx=(0, theme.px(_GAP)))

    def show(self, at: Any = None, lower_y: int | None = None) -> None:
        """Place it below the widget `at` or below the place `lower_y` of it, or in the middle of the window."""
        self.update_idletasks()
        if at is None:
            self.place(relx=0.5, rely=0.45, anchor="center")
        else:
            root = self.master
            right = at.winfo_rootx() + at.winfo_width() - root.winfo_rootx()
            x = max(min(right, root.winfo_width() - theme.px(_GAP)), self.winfo_reqwidth())
            below = at.winfo_height() + theme.px(_GAP) if lower_y is None else lower_y
            y = min(at.winfo_rooty() + below - root.winfo_rooty(), root.winfo_height() - self.winfo_reqheight())
            self.place(x=x, y=y, anchor="ne")
        tk.Misc.tkraise(self)
        self.update_idletasks()  # Tk gives the keyboard only to what is visible
        self.cancel.focus_set()
