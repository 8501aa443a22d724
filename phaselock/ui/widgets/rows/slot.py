"""The canvas items of one row. A slot knows what each of its items shows and changes only what differs."""

from __future__ import annotations

import tkinter as tk
from typing import Any

_FROM_ABOVE = ("behind", "corners", "picture", "tile", "back")
"""The items of a slot that lie below all others, whenever they were made."""
_ON_TOP = ("veil", "action", "handle")
"""How the names of those begin that lie above all others, from the lowest to the highest."""


class Slot:
    """The canvas items of one row, by name. Between `begin` and `end`, `put` every item that is visible."""

    def __init__(self, canvas: tk.Canvas, tag: str) -> None:
        self._canvas = canvas
        self.tag = tag
        self.index = -1
        """Of the row that is shown; -1: none."""
        self.y = 0
        self.state: object = None
        self._items: dict[str, int] = {}
        self._shown: dict[str, tuple[object, ...] | None] = {}
        self._used: set[str] = set()

    def move(self, y: int) -> None:
        if y != self.y:
            self._canvas.move(self.tag, 0, y - self.y)
            self.y = y

    def begin(self) -> None:
        self._used.clear()

    def put(self, name: str, kind: str, place: tuple[float, ...], **options: Any) -> None:
        self._used.add(name)
        now = (place, *options.values())
        before = self._shown.get(name)
        if before == now:
            return
        item = self._items.get(name)
        shifted_place = [value + (self.y if i % 2 else 0) for i, value in enumerate(place)]
        if item is None:
            create: Any = {
                "image": self._canvas.create_image,
                "text": self._canvas.create_text,
                "rectangle": self._canvas.create_rectangle,
            }[kind]
            self._items[name] = create(*shifted_place, tags=self.tag, **options)
            if name in _FROM_ABOVE:
                for one in _FROM_ABOVE:
                    if one in self._items:
                        self._canvas.tag_lower(self._items[one])
            for begin in _ON_TOP:
                for one in self._items:
                    if one.startswith(begin):
                        self._canvas.tag_raise(self._items[one])
        else:
            if before is None or before[0] != place:
                self._canvas.coords(item, *shifted_place)
            self._canvas.itemconfigure(item, state="normal", **options)
        self._shown[name] = now

    def end(self) -> None:
        for name, now in self._shown.items():
            if now is not None and name not in self._used:
                self._canvas.itemconfigure(self._items[name], state="hidden")
                self._shown[name] = None

    def text(self, name: str) -> str:
        """The text of a visible item, in reading order."""
        shown = self._shown.get(name)
        return str(shown[1]) if shown is not None else ""

    def shift_to(self, name: str, place: tuple[float, ...]) -> None:
        """Move a visible item, for an animation."""
        before = self._shown.get(name)
        if before is not None:
            self._canvas.coords(self._items[name], *[v + (self.y if i % 2 else 0) for i, v in enumerate(place)])
            self._shown[name] = (place, *before[1:])
