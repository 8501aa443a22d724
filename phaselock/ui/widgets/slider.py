"""The volume slider, with a button that mutes."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing, bind_wheel, commands
from phaselock.ui.widgets.buttons import IconButton
from phaselock.ui.widgets.raster import dot

STEP = 0.05
_AUDIBLE = 0.25
"""Least volume after unmuting."""
KNOB = 12
_LINE = 4


class _Track(Drawing):
    """The line and its knob."""

    def __init__(self, master: Any, width: int, move: Callable[[float], object]) -> None:
        super().__init__(master, theme.px(width), theme.px(36), focus=True)
        self._move = move
        self.value = 0.0
        self.hovered = False
        self.dragged = False
        line = theme.px(_LINE)
        self._rest = self.create_line(0, 0, 0, 0, width=line, fill=theme.REST, capstyle="round")
        self._full = self.create_line(0, 0, 0, 0, width=line, fill=theme.TEXT, capstyle="round")
        self._knob = self.create_image(
            0, 0, image=self.hold("knob", dot(theme.px(KNOB), theme.TEXT, None)), state="hidden"
        )
        self._ring = self.create_rectangle(0, 0, 0, 0, outline=theme.FOCUS, width=theme.px(2), state="hidden")
        self.configure(cursor="hand2")
        self.bind("<Configure>", lambda _event: self.paint())
        self.bind("<Enter>", lambda _event: self._touch(hovered=True), add="+")
        self.bind("<Leave>", lambda _event: self._touch(hovered=False), add="+")
        self.bind("<ButtonPress-1>", self._on_press, add="+")
        self.bind("<B1-Motion>", self._on_drag)
        self.bind("<ButtonRelease-1>", lambda _event: self._touch(dragged=False))
        for key, sign in (("Up", 1), ("Down", -1), ("Right", 1), ("Left", -1)):
            self.bind(f"<Key-{key}>", lambda event, sign=sign: self._on_key(event, sign))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    def paint(self) -> None:
        left, right, y = self._span()
        x = left + (right - left) * self.value
        self.coords(self._rest, left, y, right, y)
        self.coords(self._full, left, y, x, y)
        lively = self.hovered or self.dragged or self.keyboard
        self.itemconfigure(self._full, fill=theme.TEXT, state="normal" if self.value > 0 else "hidden")
        self.coords(self._knob, x, y)
        self.itemconfigure(self._knob, state="normal" if lively else "hidden")
        edge = theme.px(1)
        self.coords(self._ring, edge, edge, self.winfo_width() - edge, self.winfo_height() - edge)
        self.itemconfigure(self._ring, state="normal" if self.keyboard else "hidden")

    def _span(self) -> tuple[float, float, float]:
        pad = theme.px(KNOB / 2 + 2)
        return pad, max(self.winfo_width() - pad, pad + 1), self.winfo_height() / 2

    def _touch(self, *, hovered: bool | None = None, dragged: bool | None = None) -> None:
        self.hovered = self.hovered if hovered is None else hovered
        self.dragged = self.dragged if dragged is None else dragged
        self.paint()

    def _on_press(self, event: tk.Event[Any]) -> None:
        self.focus_set()
        self.dragged = True
        self._on_drag(event)

    def _on_drag(self, event: tk.Event[Any]) -> None:
        left, right, _ = self._span()
        self._move(min(max((event.x - left) / (right - left), 0.0), 1.0))

    def _on_key(self, event: tk.Event[Any], sign: int) -> str | None:
        if commands(event):
            return None
        self.by_keyboard()
        self._move(self.value + sign * STEP)
        return "break"


class VolumeSlider(tk.Frame):
    """A volume of 0 to 1 and whether it is muted: then the slider stands at 0, and the volume is kept. Click, drag,
    wheel and arrow keys call `on_change(volume, muted)`; `set` does not."""

    def __init__(self, master: Any, on_change: Callable[[float, bool], object], *, width: int = 112) -> None:
        super().__init__(master, background=theme.behind(master), borderwidth=0, highlightthickness=0)
        self._on_change = on_change
        self._volume = 0.0
        self._muted = False
        self.button = IconButton(self, "muted", self.toggle_mute, tooltip=self._explain)
        self.track = _Track(self, width, self._moved)
        self.button.pack(side="left")
        self.track.pack(side="left", fill="x", expand=True, padx=(theme.px(4), 0))
        for widget in (self, self.button, self.track):
            bind_wheel(widget, lambda notches: self.step(-notches))

    @property
    def value(self) -> float:
        """The volume that is shown: 0 while muted."""
        return self.track.value

    def set(self, volume: float, *, muted: bool = False) -> None:
        """Show this volume."""
        self._volume, self._muted = min(max(volume, 0.0), 1.0), muted
        shown = 0.0 if muted else self._volume
        if shown != self.track.value:
            self.track.value = shown
            self.track.paint()
            self.button.set_icon("volume" if shown > 0 else "muted")

    def step(self, steps: float) -> None:
        """Change the volume by a number of steps."""
        if self._muted and steps > 0:
            self.toggle_mute()
        else:
            self._moved(self.track.value + steps * STEP)

    def toggle_mute(self) -> None:
        """Switch between silence and the volume before."""
        if self.track.value > 0:
            self._change(self._volume, muted=True)
        else:
            self._change(max(self._volume, _AUDIBLE), muted=False)

    def _moved(self, value: float) -> None:
        value = round(min(max(value, 0.0), 1.0), 4)
        if value != self.track.value:
            self._change(value or self._volume, muted=value == 0)

    def _change(self, volume: float, *, muted: bool) -> None:
        self.set(volume, muted=muted)
        self._on_change(volume, muted)

    def _explain(self) -> str:
        if self.track.value == 0:
            return tr("Unmute this speaker")
        return tr("Mute this speaker ({number} %)").format(number=round(self.track.value * 100))
