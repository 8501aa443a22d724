"""A labelled entry."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.ui import theme
from phaselock.ui.theme import ctk


class Field(tk.Frame):
    """A label, an entry and, if set, an error text below; Return calls `on_submit`."""

    def __init__(
        self,
        master: Any,
        label: str,
        value: str = "",
        placeholder: str = "",
        on_submit: Callable[[], object] | None = None,
        *,
        numeric: bool = False,
        width: int = 320,
    ) -> None:
        ground = theme.behind(master)
        super().__init__(master, background=ground, borderwidth=0, highlightthickness=0)
        self.grid_columnconfigure(0, weight=1)
        if label:
            words = tk.Label(
                self,
                text=label,
                background=ground,
                foreground=theme.TEXT_SECONDARY,
                font=theme.canvas_font(theme.SECONDARY),
                padx=0,
                pady=0,
            )
            words.grid(row=0, column=0, sticky="w", pady=(0, theme.px(4)))
            words.bind("<Button-1>", lambda _event: self.focus())
        self._error = ""
        self.entry = ctk.CTkEntry(
            self,
            width=theme.px(width),
            height=theme.px(40),
            corner_radius=theme.px(8),
            border_width=theme.px(2),
            border_color=theme.ELEVATED,
            fg_color=theme.ELEVATED,
            text_color=theme.TEXT,
            placeholder_text=placeholder or None,
            placeholder_text_color=theme.TEXT_SECONDARY,
            font=theme.font(theme.BODY),
        )
        self.entry.grid(row=1, column=0, sticky="ew")
        # customtkinter leaves the colours of cursor and selection to the platform, where they are black on black.
        inner = self.entry._entry
        inner.configure(insertwidth=max(theme.px(1.5), 1), selectbackground=theme.REST, selectforeground=theme.TEXT)
        if numeric:
            digits = (self.register(lambda text: text == "" or (text.isascii() and text.isdigit())), "%P")
            self.entry.configure(validate="key", validatecommand=digits)
        self.entry.bind("<FocusIn>", self._on_focus, add="+")
        self.entry.bind("<FocusOut>", self._on_focus, add="+")
        if on_submit is not None:
            for key in ("Return", "KP_Enter"):
                self.entry.bind(f"<Key-{key}>", lambda _event: on_submit(), add="+")
        self._says = tk.Label(
            self,
            background=ground,
            foreground=theme.blend(theme.ERROR, theme.TEXT, 0.8),
            font=theme.canvas_font(theme.SECONDARY),
            anchor="w",
            justify="left",
            padx=0,
            pady=0,
        )
        self._says.grid(row=2, column=0, sticky="ew", pady=(theme.px(4), 0))
        self._says.grid_remove()
        self.bind("<Configure>", lambda event: self._says.configure(wraplength=max(event.width, 1)))
        self._focused = False
        if value:
            self.set(value)

    def get(self) -> str:
        """The text."""
        return str(self.entry.get())

    def set(self, value: str) -> None:
        """Set the text."""
        self.entry.delete(0, "end")
        if value:
            self.entry.insert(0, value)

    def focus(self) -> None:
        """Give it the keyboard and select the text."""
        self.entry.focus()
        self.entry.select_range(0, "end")

    def set_error(self, text: str) -> None:
        """Show an error below the entry; empty: hide it."""
        if text == self._error:
            return
        self._error = text
        self._says.configure(text=text)
        if text:
            self._says.grid()
        else:
            self._says.grid_remove()
        self._border()

    def set_enabled(self, enabled: bool) -> None:
        """Enable or disable the entry."""
        self.entry.configure(
            state="normal" if enabled else "disabled", text_color=theme.TEXT if enabled else theme.DISABLED
        )

    def _on_focus(self, event: tk.Event[Any]) -> None:
        self._focused = event.type == tk.EventType.FocusIn
        self._border()

    def _border(self) -> None:
        colour = theme.FOCUS if self._focused else theme.ERROR if self._error else theme.ELEVATED
        self.entry.configure(border_color=colour)
