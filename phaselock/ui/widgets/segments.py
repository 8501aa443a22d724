"""A choice between a few short texts in one line, for example the tabs of a panel."""

from __future__ import annotations

import dataclasses
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.buttons import TextButton

_CHOSEN = dataclasses.replace(
    TextButton._look, text=theme.TEXT, fill=theme.ELEVATED, hover=theme.RAISED, pressed=theme.GRID
)


class Segment(TextButton):
    """One of the texts; with a plate if it is the chosen one."""

    on = False

    def set_on(self, on: bool) -> None:
        """Show whether it is the chosen one."""
        if on != self.on:
            self.on = on
            self._look = _CHOSEN if on else TextButton._look
            self.paint()


class Segments(tk.Frame):
    """Click, space, Return and the arrows call `on_choose(number)`; `show` tells which one is chosen."""

    def __init__(self, master: Any, texts: Sequence[str], on_choose: Callable[[int], object]) -> None:
        super().__init__(master, background=theme.behind(master), borderwidth=0, highlightthickness=0)
        self.chosen = -1
        self._on_choose = on_choose
        self.buttons: list[Segment] = []
        for number, text in enumerate(texts):
            button = Segment(self, text, lambda number=number: self._choose(number))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            button.pack(side="left", padx=(theme.px(4) if number else 0, 0))
            for key, step in (("Left", -1), ("Up", -1), ("Right", 1), ("Down", 1)):
                button.bind(f"<Key-{key}>", lambda _event, to=number + step: self._walk(to))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            self.buttons.append(button)

    def show(self, number: int) -> None:
        """Show that this text is chosen."""
        if number != self.chosen:
            self.chosen = number
            for place, button in enumerate(self.buttons):
                button.set_on(place == number)
                button.configure(takefocus=place == number)

    def _choose(self, number: int) -> None:
        if number != self.chosen:
            self._on_choose(number)

    def _walk(self, to: int) -> str:
        shown = [place for place, button in enumerate(self.buttons) if button.winfo_manager()]
        to = shown[to % len(shown)]
        self.buttons[to].focus_set()
        self._choose(to)
        return "break"
