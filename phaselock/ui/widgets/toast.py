"""Toasts: short messages in a strip of their own at the bottom of the window, for a few seconds. They take no focus."""

from __future__ import annotations

import time
import tkinter as tk
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from phaselock.ui import theme
from phaselock.ui.direction import wrapped
from phaselock.ui.widgets import tooltip as tips
from phaselock.ui.widgets.base import Drawing, ease_out, inside
from phaselock.ui.widgets.buttons import TextButton
from phaselock.ui.widgets.raster import dot, plate

STRIP = 52
"""Height of the strip, in pixels of the design: the screens leave it free."""
SLIDE_MS = 140
SECONDS, ACTION_SECONDS = 4.0, 10.0
"""How long a toast stays: without and with a button."""
_READING_S = 1 / 15
"""For one character: a long text stays longer."""
_HEIGHT, _MARGIN, _GAP, _PAD = 44, 24, 8, 16
_WIDEST, _MAX_LINES = 480, 2
_PLACES = ((0,), (0, 1), (1, 0, 2))
"""The places of a strip with one, two or three of them, in the order in which they are taken."""
_LEAST_WIDTH = 320
"""Of a place, in pixels of the design: a narrow window has fewer places."""

Kind: TypeAlias = Literal["info", "warning", "error"]
Action: TypeAlias = tuple[str, Callable[[], object]]

_COLOURS = {"info": theme.TEXT_SECONDARY, "warning": theme.WARNING, "error": theme.ERROR}


class _Toast(Drawing):
    """One toast; a click removes it. It stays while the pointer is on it."""

    def __init__(
        self, root: Any, text: str, kind: Kind, action: Action | None, seconds: float, dismiss: Callable[[], None]
    ) -> None:
        super().__init__(root, 1, theme.px(_HEIGHT))
        self.text = text
        self.place_number = 0
        self.y: float | None = None
        self._dismiss = dismiss
        self._sign_colour = theme.present(_COLOURS[kind])
        self._button: TextButton | None = None
        self._left_s, self._since_s = seconds, time.monotonic()
        self.ground, self._around = theme.ELEVATED, self.ground
        self.configure(background=theme.ELEVATED)
        self._back = self.create_image(0, 0, anchor="nw")
        self._sign = self.create_image(0, 0)
        self._words = self.create_text(0, 0, font=theme.canvas_font(theme.SECONDARY), fill=theme.TEXT, anchor="w")
        if action is not None:
            word, act = action

            def run() -> None:
                dismiss()
                act()

            self._button = TextButton(self, word, run)
            self._button.bind("<ButtonPress-1>", lambda _event: "break", add="+")  # see `_on_click`
            self._window = self.create_window(0, 0, window=self._button, anchor="e")
        self.bind("<Button-1>", self._on_click)
        self.bind("<Enter>", lambda _event: self._pause(), add="+")
        self.bind("<Leave>", lambda event: None if inside(self, event) else self._go_on(), add="+")
        self._go_on()

    def set_width(self, width: int) -> None:
        """Draw it again with this width; a text that is too long ends in an ellipsis, and its tooltip is whole."""
        if width == int(self.cget("width")):
            return
        high, dot_size = theme.px(_HEIGHT), theme.px(8)
        left = theme.px(_PAD) + dot_size + theme.px(12)
        room = width - left - theme.px(_PAD)
        if self._button is not None:
            room -= self._button.winfo_reqwidth() + theme.px(4)
            self.coords(self._window, width - theme.px(8), high / 2)
        self.configure(width=width)
        image = plate(
            width, high, theme.px(8), theme.ELEVATED, self._around, outline=theme.RAISED, line=max(theme.px(1), 1)
        )
        self.itemconfigure(self._back, image=self.hold("plate", image))
        self.coords(self._sign, theme.px(_PAD) + dot_size / 2, high / 2)
        sign = dot(dot_size, self._sign_colour, theme.ELEVATED)
        self.itemconfigure(self._sign, image=self.hold("sign", sign))
        self.coords(self._words, left, high / 2)
        tk.Canvas.itemconfigure(self, self._words, width=max(room, 1))
        self._fit_text(room)

    def _fit_text(self, room: int) -> None:
        limit = _MAX_LINES * theme.line_height(theme.canvas_font(theme.SECONDARY))

        def fits(text: str) -> bool:
            drawn = wrapped(text, theme.canvas_font(theme.SECONDARY), room)
            tk.Canvas.itemconfigure(self, self._words, text=drawn)
            _, top, _, bottom = self.bbox(self._words)
            return bottom - top <= limit + theme.px(2)

        if fits(self.text):
            tips.attach(self, "")
            return
        low, high = 0, len(self.text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(self.text[:middle].rstrip() + "…") else (low, middle - 1)
        fits(self.text[:low].rstrip() + "…")
        tips.attach(self, self.text)

    def _pause(self) -> None:
        if self.waits("end"):
            self._left_s -= time.monotonic() - self._since_s
            self.cancel("end")

    def _go_on(self) -> None:
        self._since_s = time.monotonic()
        self.later("end", max(round(self._left_s * 1000), 1), self._dismiss)

    def _on_click(self, _event: object) -> str:
        self._dismiss()
        return "break"  # else customtkinter's window gives the focus to the toast


class Toasts:
    """All toasts of one window. None moves because of another one: each keeps its place in the strip."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._toasts: list[_Toast] = []
        self._bind = root.bind("<Configure>", self._on_configure, add="+")

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that are shown, oldest first."""
        return tuple(toast.text for toast in self._toasts)

    def show(
        self, text: str, *, kind: Kind = "info", action: Action | None = None, seconds: float | None = None
    ) -> Callable[[], None]:
        """Show a toast, in place of one with the same text; `action`: text and command of a button. `seconds`: how
        long; None: as long as it takes to read it. Returns what removes it, if it is still shown."""
        if seconds is None:
            seconds = max(ACTION_SECONDS if action else SECONDS, len(text) * _READING_S)
        places = self._places()
        same = [toast for toast in self._toasts if toast.text == text]
        others = len(self._toasts) - len(same)
        for old in [*same, *[one for one in self._toasts if one not in same][: max(others - len(places) + 1, 0)]]:
            self._drop(old)
        toast = _Toast(self._root, text, kind, action, seconds, lambda: self._drop(toast))
        taken = {one.place_number for one in self._toasts}
        toast.place_number = next((place for place in places if place not in taken), places[0])
        self._toasts.append(toast)
        self._slide(toast)
        return lambda: self._drop(toast)

    def clear(self) -> None:
        """Remove all toasts."""
        for toast in list(self._toasts):
            self._drop(toast)

    def _places(self) -> tuple[int, ...]:
        room = self._root.winfo_width() - 2 * theme.px(_MARGIN)
        return _PLACES[min(max(room // theme.px(_LEAST_WIDTH), 1), len(_PLACES)) - 1]

    def _drop(self, toast: _Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            toast.destroy()

    def _on_configure(self, event: tk.Event[Any]) -> None:
        if event.widget is self._root:
            for old in self._toasts[: max(len(self._toasts) - len(self._places()), 0)]:
                self._drop(old)
            for number, toast in zip(sorted(self._places()), self._toasts, strict=False):
                toast.place_number = number
                toast.cancel("slide")
                self._put(toast, 0)

    def _slide(self, toast: _Toast) -> None:
        if theme.still():
            self._put(toast, 0)
            return
        began = time.perf_counter()

        def step() -> None:
            share = (time.perf_counter() - began) * 1000 / SLIDE_MS
            self._put(toast, theme.px(STRIP) * (1 - ease_out(share)))
            if share < 1:
                toast.later("slide", 16, step)

        step()

    def _put(self, toast: _Toast, below: float) -> None:
        """Place a toast `below` pixels under its final place."""
        count = len(self._places())
        room = (self._root.winfo_width() - 2 * theme.px(_MARGIN) - (count - 1) * theme.px(_GAP)) // count
        toast.set_width(max(min(room, theme.px(_WIDEST)), 1))
        middle = theme.px(_MARGIN) + toast.place_number * (room + theme.px(_GAP)) + room // 2
        top = self._root.winfo_height() - theme.px(STRIP)
        toast.place(x=middle - int(toast.cget("width")) // 2, y=round(top + below))
        tk.Misc.tkraise(toast)
