"""A choice between a few texts, all of them visible."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import Clickable
from phaselock.ui.widgets.raster import Layer, disc, image

_HEIGHT, _DISC, _GAP = 32, 18, 12


class RadioButton(Clickable):
    """A ring with a text; filled if it is the chosen one."""

    def __init__(self, master: Any, text: str, command: Callable[[], object]) -> None:
        self._text, self.on = text, False
        font = theme.canvas_font(theme.BODY)
        width = theme.px(_DISC + _GAP) + theme.measure(text, font) + theme.px(4)
        super().__init__(master, width, theme.px(_HEIGHT), command)
        self._mark = self.create_image(0, 0, anchor="nw")
        self._words = self.create_text(0, 0, font=font, anchor="w", text=text)
        self.bind("<Configure>", lambda _event: self.paint(), add="+")

    def set_on(self, on: bool) -> None:
        """Show whether it is the chosen one."""
        if on != self.on:
            self.on = on
            self.paint()

    def paint(self) -> None:
        size, height = theme.px(_DISC), self.winfo_height()
        if height <= 1:
            return
        edge = theme.FOCUS if self.keyboard else theme.TEXT if self.on or self.hovered else theme.TEXT_SECONDARY
        edge, fill = theme.present(edge), theme.present(theme.TEXT)
        self.itemconfigure(self._mark, image=self.hold("mark", _ring(size, edge, fill, self.ground, self.on)))
        self.coords(self._mark, 0, (height - size) // 2)
        colour = theme.TEXT if self.on or self.hovered else theme.TEXT_SECONDARY
        font = theme.canvas_font(theme.BODY)
        room = self.winfo_width() - theme.px(_DISC + _GAP)
        self.itemconfigure(self._words, text=theme.ellipsis(self._text, font, room), fill=theme.present(colour))
        self.coords(self._words, theme.px(_DISC + _GAP), height / 2)


def _ring(size: int, edge: str, fill: str, ground: str, on: bool) -> tk.PhotoImage:
    def make() -> tk.PhotoImage:
        middle = size / 2
        layers: list[Layer] = [
            ([disc(middle, middle, middle)], edge),
            ([disc(middle, middle, middle - theme.px(2))], ground),
        ]
        if on:
            layers.append(([disc(middle, middle, middle - theme.px(5))], fill))
        return image(size, size, layers, ground)

    return theme.kept(("radio", size, edge, fill, ground, on), make)


class RadioChoice(tk.Frame):
    """Buttons below each other. Click, space, Return and the arrows choose; `on_choose(number)` is called then."""

    def __init__(self, master: Any, texts: Sequence[str], chosen: int, on_choose: Callable[[int], object]) -> None:
        super().__init__(master, background=theme.behind(master), borderwidth=0, highlightthickness=0)
        self.chosen = chosen
        self._on_choose = on_choose
        self.lines: list[Any] = []
        """The line of each button, with room at its right side."""
        self.buttons: list[RadioButton] = []
        for number, text in enumerate(texts):
            line = frame(self)
            line.pack(fill="x")
            button = RadioButton(line, text, lambda number=number: self.choose(number))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            button.pack(side="left", anchor="n", pady=theme.px(_GAP // 3) if number else 0)
            for key, step in (("Up", -1), ("Left", -1), ("Down", 1), ("Right", 1)):
                button.bind(f"<Key-{key}>", lambda _event, to=number + step: self._walk(to))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            self.lines.append(line)
            self.buttons.append(button)
        self._show()

    def choose(self, number: int) -> None:
        """The user has chosen this one."""
        if number != self.chosen:
            self.chosen = number
            self._show()
            self._on_choose(number)

    def _walk(self, to: int) -> str:
        to %= len(self.buttons)
        self.buttons[to].focus_set()
        self.choose(to)
        return "break"

    def _show(self) -> None:
        for number, button in enumerate(self.buttons):
            button.set_on(number == self.chosen)
            button.configure(takefocus=number == self.chosen)
