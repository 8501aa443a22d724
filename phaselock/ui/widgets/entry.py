"""A labelled entry."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.ui import theme
from phaselock.ui.theme import ctk

_AFTER = "FieldAfterEntry"
"""Its bindings run after those of the class Entry, which change the text."""


class Field(tk.Frame):
    """A label, an entry and, if set, an error text below, which goes away when the text changes; `hint` has its place
    while there is none. Return calls `on_submit`, a change by the user `on_change`. Undo and redo go back and forth
    through the changes. `roomy`: the place of the error is kept, so that nothing below moves."""

    def __init__(
        self,
        master: Any,
        label: str,
        value: str = "",
        placeholder: str = "",
        on_submit: Callable[[], object] | None = None,
        on_change: Callable[[], object] = lambda: None,
        *,
        numeric: bool = False,
        roomy: bool = False,
        hint: str = "",
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
        self._error, self._hint = "", hint
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
            placeholder_text_color=theme.FAINT,
            font=theme.font(theme.BODY),
        )
        self.entry.grid(row=1, column=0, sticky="ew")
        # customtkinter leaves the colours of cursor and selection to the platform, where they are black on black.
        inner = self.entry._entry
        inner.configure(
            insertwidth=max(theme.px(1.5), 1), selectbackground=theme.TEXT_SECONDARY, selectforeground=theme.BACKGROUND
        )
        if numeric:
            digits = (self.register(lambda text: text == "" or (text.isascii() and text.isdigit())), "%P")
            self.entry.configure(validate="key", validatecommand=digits)
        self.entry.bind("<FocusIn>", self._on_focus, add="+")
        self.entry.bind("<FocusOut>", self._on_focus, add="+")
        if on_submit is not None:
            for key in ("Return", "KP_Enter"):
                self.entry.bind(f"<Key-{key}>", lambda _event: on_submit(), add="+")
        self._on_change = on_change
        self._past: list[str] = []
        self._undone: list[str] = []
        self._known = ""
        tags = inner.bindtags()
        inner.bindtags((*tags[:2], _AFTER, *tags[2:]))
        if not inner.bind_class(_AFTER):
            for sequence in ("<Key>", "<<Paste>>", "<<Cut>>", "<<Clear>>", "<<PasteSelection>>"):
                inner.bind_class(_AFTER, sequence, _on_edit)
        inner.bind("<<Undo>>", lambda _event: self._step(self._past, self._undone))
        inner.bind("<<Redo>>", lambda _event: self._step(self._undone, self._past))
        self._says = tk.Label(
            self,
            text=hint,
            background=ground,
            foreground=theme.TEXT_SECONDARY,
            font=theme.canvas_font(theme.SECONDARY),
            anchor="w",
            justify="left",
            width=1,  # the field has the width of its entry: else the wrapping and the width could change each other
            padx=0,
            pady=0,
        )
        self._says.grid(row=2, column=0, sticky="ew", pady=(theme.px(4), 0))
        self._roomy = roomy or bool(hint)
        if not self._roomy:
            self._says.grid_remove()
        self.bind("<Configure>", lambda event: self._says.configure(wraplength=max(event.width, 1)))
        self._focused = False
        if value:
            self._put(value)

    def get(self) -> str:
        """The text."""
        return str(self.entry.get())

    def set(self, value: str) -> None:
        """Set the text."""
        if value != self._known:
            self._past.append(self._known)
            self._undone.clear()
            self.set_error("")
        self._put(value)

    def focus(self) -> None:
        """Give it the keyboard and select the text."""
        self.entry.focus()
        self.entry.select_range(0, "end")

    def set_error(self, text: str) -> None:
        """Show an error below the entry; empty: hide it."""
        if text == self._error:
            return
        self._error = text
        self._says.configure(text=text or self._hint, foreground=theme.ERROR_TEXT if text else theme.TEXT_SECONDARY)
        if text:
            self._says.grid()
        elif not self._roomy:
            self._says.grid_remove()
        self._border()

    def entry_y(self) -> int:
        """Where the entry begins, below its label."""
        self.update_idletasks()
        return int(self.entry.winfo_y())

    def set_enabled(self, enabled: bool) -> None:
        """Enable or disable the entry."""
        self.entry.configure(
            state="normal" if enabled else "disabled", text_color=theme.TEXT if enabled else theme.DISABLED
        )

    def _put(self, value: str) -> None:
        self._known = value
        self.entry.delete(0, "end")
        if value:
            self.entry.insert(0, value)

    def _changed(self) -> None:
        """Note a change by the user, if there is one."""
        text = self.get()
        if text != self._known:
            self._past.append(self._known)
            self._undone.clear()
            self._known = text
            self.set_error("")
            self._on_change()

    def _step(self, source: list[str], target: list[str]) -> str:
        if source:
            target.append(self._known)
            self._put(source.pop())
            self.set_error("")
            self._on_change()
        return "break"

    def _on_focus(self, event: tk.Event[Any]) -> None:
        self._focused = event.type == tk.EventType.FocusIn
        self._border()

    def _border(self) -> None:
        colour = theme.FOCUS if self._focused else theme.ERROR if self._error else theme.ELEVATED
        self.entry.configure(border_color=colour)


def _on_edit(event: tk.Event[Any]) -> None:
    event.widget.master.master._changed()
