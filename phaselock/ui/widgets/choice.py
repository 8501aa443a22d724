"""A field that opens a menu of texts to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets import tooltip as tips
from phaselock.ui.widgets.buttons import Clickable
from phaselock.ui.widgets.icons import icon
from phaselock.ui.widgets.menu import popup
from phaselock.ui.widgets.raster import plate

_HEIGHT, _PAD, _ICON = 40, 12, 16


class Choice(Clickable):
    """Shows the chosen text. Click, space, Return and the arrows open the menu; `on_choose(text)` is called there."""

    def __init__(self, master: Any, on_choose: Callable[[str], object]) -> None:
        super().__init__(master, theme.px(120), theme.px(_HEIGHT), self.open)
        self.texts: Sequence[str] = ()
        self._text = ""
        self._on_choose = on_choose
        self._plate = self.create_image(0, 0, anchor="nw")
        self._words = self.create_text(0, 0, font=theme.canvas_font(theme.BODY), fill=theme.TEXT, anchor="w", text=" ")
        self._arrow = self.create_image(0, 0, anchor="e")
        self.bind("<Configure>", lambda _event: self.paint(), add="+")
        for key in ("Down", "Up"):
            self.bind(f"<Key-{key}>", self._on_key)
        tips.attach(self, lambda: self._text)

    def get(self) -> str:
        """The chosen text."""
        return self._text

    def set(self, text: str) -> None:
        """Show this text as the chosen one."""
        self._text = text
        self.paint()

    def open(self) -> None:
        """Open the menu below the field."""
        items = [(text, lambda text=text: self.choose(text)) for text in self.texts]
        popup(self, items, 0, self.winfo_height(), least_width=self.winfo_width())

    def choose(self, text: str) -> None:
        """The user has chosen this text."""
        self.set(text)
        self._on_choose(text)

    def paint(self) -> None:
        width, height = self.winfo_width(), self.winfo_height()
        if width <= 1:
            return
        fill = theme.RAISED if self.hovered else theme.ELEVATED
        ring, line = (theme.FOCUS, theme.px(2)) if self.keyboard else ("", 0)
        back = plate(width, height, theme.px(8), fill, self.ground, outline=ring, line=line)
        self.itemconfigure(self._plate, image=self.hold("plate", back))
        arrow = icon("down", theme.px(_ICON), theme.TEXT_SECONDARY, fill)
        self.itemconfigure(self._arrow, image=self.hold("arrow", arrow))
        self.coords(self._arrow, width - theme.px(_PAD), height / 2)
        self.coords(self._words, theme.px(_PAD), height / 2)
        room = width - theme.px(3 * _PAD + _ICON)
        self.itemconfigure(self._words, text=theme.ellipsis(self._text, theme.canvas_font(theme.BODY), room))
