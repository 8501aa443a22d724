"""The spectrum: bars that rise at once and fall slowly."""

from __future__ import annotations

from typing import Any

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing

_FALL = 14
"""How far a bar may fall at a call of `show`, of 255."""


class Spectrum(Drawing):
    """One bar a band; hidden while there are no values."""

    def __init__(self, master: Any, bands: int = 24, height: int = 48) -> None:
        super().__init__(master, theme.px(bands * 8), theme.px(height))
        self._levels = [0] * bands
        self._drawn = [-1] * bands
        self._visible = False
        self._place: list[tuple[int, int]] = []
        self._bars = [
            self.create_rectangle(0, 0, 0, 0, fill=theme.PRIMARY, width=0, state="hidden") for _ in range(bands)
        ]
        self.bind("<Configure>", lambda _event: self._arrange())

    def show(self, values: bytes | None) -> None:
        """Show the loudness of each band, 0 to 255; None: hide the bars."""
        if values is None:
            if self._visible:
                self._visible = False
                self._levels = [0] * len(self._bars)
                self.itemconfigure("all", state="hidden")
            return
        if not self._visible:
            self._visible = True
            self.itemconfigure("all", state="normal")
        for i, value in enumerate(values[: len(self._bars)]):
            self._levels[i] = max(value, self._levels[i] - _FALL)
        self.paint()

    def paint(self) -> None:
        if not self._place or not self._visible:
            return
        height = self.winfo_height()
        least = max(theme.px(2), 1)
        for i, level in enumerate(self._levels):
            tall = max(height * level // 255, least)
            if tall != self._drawn[i]:
                self._drawn[i] = tall
                left, right = self._place[i]
                self.coords(self._bars[i], left, height - tall, right, height)

    def _arrange(self) -> None:
        width, count = self.winfo_width(), len(self._bars)
        gap = max(theme.px(3), 1)
        bar = max((width - gap * (count - 1)) // count, 1)
        left = (width - count * bar - gap * (count - 1)) // 2
        self._place = [(left + i * (bar + gap), left + i * (bar + gap) + bar) for i in range(count)]
        self._drawn = [-1] * count
        self.paint()
