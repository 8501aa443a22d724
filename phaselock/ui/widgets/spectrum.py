"""The spectrum: bars that rise at once and fall slowly, the lowest band in the middle."""

from __future__ import annotations

from typing import Any, Literal

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing

_FALL = 14
"""How far a band may fall at a call of `show`, of 255."""
_BAR, _GAP, _WIDEST = 4, 4, 440
"""Width of a bar, distance of two, and width of all, in pixels of the design."""
_FAINTEST = 0.3
"""Share of the colour in the outermost bars."""


class Spectrum(Drawing):
    """Both halves show all bands; hidden while there are no values."""

    def __init__(self, master: Any, bands: int = 24, height: int = 48) -> None:
        super().__init__(master, theme.px(bands * 8), theme.px(height))
        self._levels = [0] * bands
        self._visible = False
        self._bars: list[tuple[int, int, int]] = []
        """The items from the middle to the edge: left one, right one, distance of their middle from the middle."""
        self.bind("<Configure>", lambda _event: self._arrange())

    def show(self, values: bytes | None) -> None:
        """Show the loudness of each band, 0 to 255; None: hide the bars."""
        if values is None:
            if self._visible:
                self._visible = False
                self._levels = [0] * len(self._levels)
                self.itemconfigure("all", state="hidden")
            return
        if not self._visible:
            self._visible = True
            self.itemconfigure("all", state="normal")
        for i, value in enumerate(values[: len(self._levels)]):
            self._levels[i] = max(value, self._levels[i] - _FALL)
        self.paint()

    def paint(self) -> None:
        if not self._bars or not self._visible:
            return
        middle_x, middle_y = self.winfo_width() // 2, self.winfo_height() / 2
        bar, least = max(theme.px(_BAR), 1), max(theme.px(_BAR), 1) / 2
        for i, (left, right, distance) in enumerate(self._bars):
            half = max(middle_y * self._level(i) / 255, least)
            for item, x in ((left, middle_x - distance), (right, middle_x + distance)):
                self.coords(item, x - bar // 2, middle_y - half, x - bar // 2 + bar, middle_y + half)

    def _level(self, bar: int) -> float:
        """The level at a bar, interpolated between two bands."""
        at = bar * (len(self._levels) - 1) / max(len(self._bars) - 1, 1)
        low = min(int(at), len(self._levels) - 2)
        return self._levels[low] + (self._levels[low + 1] - self._levels[low]) * (at - low)

    def _arrange(self) -> None:
        step = max(theme.px(_BAR + _GAP), 2)
        count = max(min(self.winfo_width(), theme.px(_WIDEST)) // (2 * step), 1)
        if count == len(self._bars):
            self.paint()
            return
        self.delete("all")
        state: Literal["normal", "hidden"] = "normal" if self._visible else "hidden"
        self._bars = []
        for i in range(count):
            share = 1 - (1 - _FAINTEST) * i / max(count - 1, 1)
            fill = theme.blend(theme.PRIMARY, self.ground, share)
            left, right = (self.create_rectangle(0, 0, 0, 0, fill=fill, width=0, state=state) for _ in range(2))
            self._bars.append((left, right, i * step + step // 2))
        self.paint()
