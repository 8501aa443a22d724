"""The visible part of a list of rows, and its scroll bar. Lengths and places are pixels of the screen."""

from __future__ import annotations

import math
import tkinter as tk

from phaselock.ui import theme

_BAR_WIDTH = 6
_BAR_ROOM = 10
_MIN_BAR_LENGTH = 32


class Viewport:
    """The part of `count` rows that the canvas shows."""

    def __init__(self, canvas: tk.Canvas, row_height: int) -> None:
        self._canvas = canvas
        self.row_height = row_height
        self.count = 0
        self.top = 0
        """Pixels of the list above the visible part."""
        self.foot = 0
        """Pixels at the lower end that something covers: the last row can be scrolled above them."""

    @property
    def height(self) -> int:
        """Of the visible part."""
        return self._canvas.winfo_height()

    @property
    def right(self) -> int:
        """Right end of the rows; the scroll bar is beside it."""
        return self._canvas.winfo_width() - (theme.px(_BAR_ROOM) if self.limit > 0 else 0)

    @property
    def limit(self) -> int:
        """The largest `top`."""
        return max(self.count * self.row_height + self.foot - self.height, 0)

    @property
    def capacity(self) -> int:
        """How many rows can be visible at once, in part or whole."""
        return min(math.ceil(self.height / self.row_height) + 1, self.count)

    def clamped(self, top: float) -> int:
        """The nearest possible `top`."""
        return round(min(max(top, 0), self.limit))

    def first(self) -> int:
        """Index of the first visible row."""
        return self.top // self.row_height

    def visible(self) -> range:
        """Indices of the visible rows."""
        first = self.first()
        return range(first, min(first + math.ceil(self.height / self.row_height) + 1, self.count))

    def index_at(self, x: int, y: int) -> int:
        """Index of the row at a place of the canvas; -1: no row."""
        index = (y + self.top) // self.row_height if 0 <= y < self.height else -1
        return index if 0 <= index < self.count and 0 <= x < self.right else -1

    def top_to_see(self, index: int) -> float:
        """The `top` nearest to the present one at which that row is wholly visible."""
        return min(index * self.row_height, max(self.top, (index + 1) * self.row_height + self.foot - self.height))


class ScrollBar:
    """A line at the right edge; its place shows `view.top`. Hidden while all rows are visible."""

    def __init__(self, canvas: tk.Canvas, view: Viewport) -> None:
        self._canvas = canvas
        self._view = view
        self._grip: int | None = None
        """While it is dragged: distance of the pointer from its upper end."""
        self.item = canvas.create_line(
            0, 0, 0, 0, fill=theme.REST, width=theme.px(_BAR_WIDTH), capstyle="round", state="hidden"
        )

    @property
    def held(self) -> bool:
        """It is dragged."""
        return self._grip is not None

    def show(self) -> None:
        """Draw it for the present `view`."""
        place = self._place()
        if place is None:
            self._canvas.itemconfigure(self.item, state="hidden")
            return
        top, length = place
        half = theme.px(_BAR_WIDTH) / 2
        x = self._canvas.winfo_width() - half
        self._canvas.coords(self.item, x, top + half, x, top + length - half)
        self._canvas.itemconfigure(self.item, state="normal", fill=theme.TEXT_SECONDARY if self.held else theme.REST)
        self._canvas.tag_raise(self.item)

    def press(self, x: int, y: int) -> bool:
        """Begin to drag it if the place is beside the rows; outside the bar, its middle jumps to the pointer."""
        place = self._place()
        if place is None or x < self._view.right:
            return False
        top, length = place
        self._grip = y - top if top <= y < top + length else length // 2
        return True

    def release(self) -> None:
        """End dragging."""
        self._grip = None
        self.show()

    def top_at(self, y: int) -> float:
        """The `view.top` for the pointer at `y` while it is dragged."""
        place = self._place()
        if place is None or self._grip is None:
            return self._view.top
        return self._view.limit * (y - self._grip) / max(self._view.height - place[1], 1)

    def _place(self) -> tuple[int, int] | None:
        """Upper end and length; None: hidden."""
        height, limit = self._view.height, self._view.limit
        if limit <= 0:
            return None
        length = max(height * height // (limit + height), theme.px(_MIN_BAR_LENGTH))
        return round((height - length) * self._view.top / limit), length
