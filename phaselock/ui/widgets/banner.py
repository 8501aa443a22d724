"""A warning or a question that stays: words, perhaps a button, and a cross or a second button."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.buttons import IconButton, SecondaryButton
from phaselock.ui.widgets.label import Label


class Banner(tk.Frame):
    """Lies over its master at the top, so that nothing below moves. The cross removes it. With a `refusal` there is its
    button instead, and the caller removes the banner after the answer."""

    def __init__(
        self,
        master: Any,
        text: str,
        action: tuple[str, Callable[[], object]] | None = None,
        refusal: tuple[str, Callable[[], object]] | None = None,
    ) -> None:
        px, ground = theme.px, theme.blend(theme.WARNING, theme.BACKGROUND, 0.16)
        super().__init__(
            master, background=ground, borderwidth=0, highlightthickness=px(1), highlightbackground=theme.WARNING
        )
        look = {"font": theme.font(theme.BODY), "text_color": theme.WARNING, "fg_color": ground, "justify": "left"}
        self._words = Label(self, text, wraplength=px(520), **look)
        self.refusal = SecondaryButton(self, *refusal) if refusal is not None else None
        close = self.refusal or IconButton(self, "close", self.destroy, tooltip=tr("Close"))
        close.pack(side="right", padx=px(8), pady=px(8))
        self.button = SecondaryButton(self, *action) if action is not None else None
        if self.button is not None:
            self.button.pack(side="right", pady=px(8))
        self._words.pack(side="left", padx=px(16), pady=px(12))
        self.place(relx=0.5, y=px(24), anchor="n")

    def set_text(self, text: str) -> None:
        """Say something else."""
        self._words.configure(text=text)
