"""Dialogs above the screen, and a question about something that cannot be undone: it stays until it is answered."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.buttons import DangerButton, MainButton, SecondaryButton
from phaselock.ui.widgets.panel import Panel

_WIDTH = 320
"""Limit of the width of the text."""
_GAP = 8


class Dialog(Panel):
    """A panel above the screen. The caller destroys it after the answer. A subclass creates `cancel` and calls
    `set_controls`."""

    cancel: SecondaryButton

    def __init__(self, root: Any) -> None:
        super().__init__(root, fill=theme.ELEVATED, plain=True)
        self.configure(border_width=max(theme.px(1), 1), border_color=theme.RAISED)
        self._controls: Sequence[tk.Misc] = ()

    def set_controls(self, *controls: tk.Misc) -> None:
        """What Tab reaches, from left to right."""
        self._controls = controls

    def walk(self, step: int) -> str:
        """Give the keyboard to the next (1) or previous (-1) control: to the first one if none has it."""
        focused = self.focus_get()
        at = next((place + step for place, one in enumerate(self._controls) if one is focused), 0)
        self._controls[at % len(self._controls)].focus_set()
        return "break"

    def show(self, at: Any = None, lower_y: int | None = None) -> None:
        """Place it below the widget `at` or below the place `lower_y` of it, or in the middle of the window."""
        self.update_idletasks()
        if at is None:
            self.place(relx=0.5, rely=0.45, anchor="center")
        else:
            root = self.master
            right = at.winfo_rootx() + at.winfo_width() - root.winfo_rootx()
            x = max(min(right, root.winfo_width() - theme.px(_GAP)), self.winfo_reqwidth() + theme.px(_GAP))
            below = at.winfo_height() + theme.px(_GAP) if lower_y is None else lower_y
            y = min(at.winfo_rooty() + below - root.winfo_rooty(), root.winfo_height() - self.winfo_reqheight())
            self.place(x=x, y=y, anchor="ne")
        tk.Misc.tkraise(self)
        self.update_idletasks()  # Tk gives the keyboard only to what is visible
        self.take_keyboard()

    def take_keyboard(self) -> None:
        """Give the keyboard to the control that is wanted first."""
        self.cancel.focus_set()


class Question(Dialog):
    """A text, a button that acts and one that cancels, which has the keyboard."""

    def __init__(
        self,
        root: Any,
        text: str,
        word: str,
        act: Callable[[], object],
        cancel: Callable[[], object],
        *,
        harmless: bool = False,
    ) -> None:
        """`harmless`: nothing is lost by `act`, so its button is not red."""
        super().__init__(root)
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
        self.act = (MainButton if harmless else DangerButton)(self.body, word, act)
        self.act.pack(side="right")
        self.cancel = SecondaryButton(self.body, tr("Cancel"), cancel)
        self.cancel.pack(side="right", padx=(0, theme.px(_GAP)))
        self.set_controls(self.cancel, self.act)
        for button in (self.cancel, self.act):
            for key, step in (("Left", -1), ("Right", 1), ("Up", -1), ("Down", 1)):
                button.bind(f"<Key-{key}>", lambda _event, step=step: self.walk(step))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
