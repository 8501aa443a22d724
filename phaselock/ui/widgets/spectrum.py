"""The spectrum: bars that rise at once and fall slowly, the lowest band in the middle."""

from __future__ import annotations

from typing import Any, Literal

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing

_FALL = 17
"""How far a band may fall at a call of `show`, of 255."""
_BAR, _GAP, _WIDEST = 4, 4, 440
"""Width of a bar, distance of two, and width of all, in pixels of the design."""
_FAINTEST = 0.3
"""Share of the colour in the outermost bars."""

_PLACE = "phaselock_place", "canvas moves", "foreach {item x0 y0 x1 y1} $moves {$canvas coords $item $x0 $y0 $x1 $y1}"
"""A procedure of Tcl that places many items. Calling Tcl for each costs more than what the call does."""


class Spectrum(Drawing):
    """Both halves show all bands; hidden while there are no values."""

    def __init__(self, master: Any, bands: int = 24, height: int = 48) -> None:
        super().__init__(master, theme.px(bands * 8), theme.px(height))
        self._levels = [0] * bands
        self.is_shown = False
        self.tk.call("proc", *_PLACE)
        self._bars: list[tuple[int, int, int]] = []
        """The items from the middle to the edge: left one, right one, distance of their middle from the middle."""
        self._places: list[tuple[int, float]] = []
        """Of each bar, the band that it shows, and the share of the next one."""
        self._halves: list[int] = []
        """Of each bar, half of the height that is drawn."""
        self.bind("<Configure>", lambda _event: self._arrange())

    def show(self, values: bytes | None) -> None:
        """Show the loudness of each band, 0 to 255; None: hide the bars."""
        if values is None:
            if self.is_shown:
                self.is_shown = False
                self._levels = [0] * len(self._levels)
                self.itemconfigure("all", state="hidden")
            return
        if not self.is_shown:
            self.is_shown = True
            self.itemconfigure("all", state="normal")
        for i, value in enumerate(values[: len(self._levels)]):
            self._levels[i] = max(value, self._levels[i] - _FALL)
        self.paint()

    def paint(self) -> None:
        """Draw the bars whose height has changed."""
        if not self._bars or not self.is_shown:
            return
        middle_x, middle_y = self.winfo_width() // 2, self.winfo_height() // 2
        bar = max(theme.px(_BAR), 1)
        halves = [max(round(middle_y * level / 255), bar // 2, 1) for level in self._bar_levels()]
        start_x = middle_x - bar // 2
        moves: list[int] = []
        for (left, right, distance), half, drawn in zip(self._bars, halves, self._halves, strict=True):
            if half != drawn:
                top, bottom = middle_y - half, middle_y + half
                moves += left, start_x - distance, top, start_x - distance + bar, bottom
                moves += right, start_x + distance, top, start_x + distance + bar, bottom
        self._halves = halves
        if moves:
            self.tk.call(_PLACE[0], self, tuple(moves))

    def _bar_levels(self) -> list[float]:
        """The level at each bar, interpolated between two bands."""
        levels = self._levels
        return [levels[low] + (levels[low + 1] - levels[low]) * share for low, share in self._places]

    def _arrange(self) -> None:
        step = max(theme.px(_BAR + _GAP), 2)
        count = max(min(self.winfo_width(), theme.px(_WIDEST)) // (2 * step), 1)
        self._halves = [-1] * count
        if count == len(self._bars):
            self.paint()
            return
        ats = [bar * (len(self._levels) - 1) / max(count - 1, 1) for bar in range(count)]
        lows = [min(int(at), len(self._levels) - 2) for at in ats]
        self._places = [(low, at - low) for low, at in zip(lows, ats, strict=True)]
        self.delete("all")
        state: Literal["normal", "hidden"] = "normal" if self.is_shown else "hidden"
        self._bars = []
        for i in range(count):
            share = 1 - (1 - _FAINTEST) * i / max(count - 1, 1)
            fill = theme.blend(theme.PRIMARY, self.ground, share)
            left, right = (self.create_rectangle(0, 0, 0, 0, fill=fill, width=0, state=state) for _ in range(2))
            self._bars.append((left, right, i * step + step // 2))
        self.paint()
