"""Toasts: short messages at the bottom of the window, for a few seconds. They take no focus."""

from __future__ import annotations

import time
import tkinter as tk
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing, ease_out
from phaselock.ui.widgets.buttons import TextButton
from phaselock.ui.widgets.raster import dot, plate

MAX_TOASTS = 3
SLIDE_MS = 140
_MIN_WIDTH, _MAX_WIDTH = 320, 480
_MARGIN, _GAP, _PAD = 24, 8, 16

Kind: TypeAlias = Literal["info", "warning", "error"]
Action: TypeAlias = tuple[str, Callable[[], object]]

_COLOURS = {"info": theme.TEXT_SECONDARY, "warning": theme.WARNING, "error": theme.ERROR}


class _Toast(Drawing):
    """One toast; a click removes it."""

    def __init__(self, root: Any, text: str, kind: Kind, action: Action | None, dismiss: Callable[[], None]) -> None:
        widest = min(theme.px(_MAX_WIDTH), max(root.winfo_width() - 2 * theme.px(_MARGIN), theme.px(200)))
        font = theme.canvas_font(theme.SECONDARY)
        pad, dot_size = theme.px(_PAD), theme.px(8)
        super().__init__(root, widest, 1)
        self.text = text
        self.y: float | None = None
        button: TextButton | None = None
        room = 0
        self.ground, around = theme.ELEVATED, self.ground
        self.configure(background=theme.ELEVATED)
        if action is not None:
            word, act = action

            def run() -> None:
                dismiss()
                act()

            button = TextButton(self, word, run)
            button.bind("<ButtonPress-1>", lambda _event: "break", add="+")  # see `_on_click`
            room = button.winfo_reqwidth() + theme.px(4)
        left = pad + dot_size + theme.px(12)
        words = self.create_text(
            left, 0, text=text, font=font, fill=theme.TEXT, anchor="w", width=widest - left - pad - room
        )
        x0, y0, x1, y1 = self.bbox(words)
        width = min(max(x1 - x0 + left + pad + room, min(theme.px(_MIN_WIDTH), widest)), widest)
        self.high = max(y1 - y0 + 2 * theme.px(12), theme.px(48))
        self.wide = width
        self.configure(width=width, height=self.high)
        back = self.create_image(0, 0, anchor="nw")
        image = plate(
            width, self.high, theme.px(8), theme.ELEVATED, around, outline=theme.RAISED, line=max(theme.px(1), 1)
        )
        self.itemconfigure(back, image=self.hold("plate", image))
        self.tag_lower(back)
        self.coords(words, left, self.high / 2)
        sign = self.create_image(pad + dot_size / 2, self.high / 2)
        self.itemconfigure(sign, image=self.hold("sign", dot(dot_size, _COLOURS[kind], theme.ELEVATED)))
        if button is not None:
            self.create_window(width - theme.px(8), self.high / 2, window=button, anchor="e")
        self.bind("<Button-1>", self._on_click(dismiss))

    @staticmethod
    def _on_click(dismiss: Callable[[], None]) -> Callable[[object], str]:
        def click(_event: object) -> str:
            dismiss()
            return "break"  # else customtkinter's window gives the focus to the toast

        return click


class Toasts:
    """All toasts of one window, the newest at the bottom."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._toasts: list[_Toast] = []
        self._bind = root.bind("<Configure>", self._on_configure, add="+")

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that are shown, oldest first."""
        return tuple(toast.text for toast in self._toasts)

    def show(self, text: str, *, kind: Kind = "info", action: Action | None = None, seconds: float = 4.0) -> None:
        """Show a toast for `seconds`, in place of one with the same text; `action`: text and command of a button."""
        same = [toast for toast in self._toasts if toast.text == text]
        for old in [*same, *self._toasts[: max(len(self._toasts) - len(same) - MAX_TOASTS + 1, 0)]]:
            self._drop(old)
        toast = _Toast(self._root, text, kind, action, lambda: self._drop(toast))
        self._toasts.append(toast)
        toast.later("end", round(seconds * 1000), lambda: self._drop(toast))
        # A toast under the pointer stays.
        toast.bind("<Enter>", lambda _event: toast.cancel("end"), add="+")
        toast.bind("<Leave>", lambda _event: toast.later("end", 1500, lambda: self._drop(toast)), add="+")
        self._arrange(slide=True)

    def clear(self) -> None:
        """Remove all toasts."""
        for toast in list(self._toasts):
            self._drop(toast)

    def _drop(self, toast: _Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            toast.destroy()
            self._arrange(slide=True)

    def _on_configure(self, event: tk.Event[Any]) -> None:
        if event.widget is self._root and self._toasts:
            self._arrange(slide=False)

    def _arrange(self, *, slide: bool) -> None:
        y = float(self._root.winfo_height() - theme.px(_MARGIN))
        for toast in reversed(self._toasts):
            y -= toast.high
            if slide:
                self._slide(toast, toast.y if toast.y is not None else y + theme.px(24), y)
            else:
                toast.cancel("slide")
                self._put(toast, y)
            y -= theme.px(_GAP)

    def _slide(self, toast: _Toast, start: float, end: float) -> None:
        began = time.perf_counter()

        def step() -> None:
            share = (time.perf_counter() - began) * 1000 / SLIDE_MS
            self._put(toast, start + (end - start) * ease_out(share))
            if share < 1:
                toast.later("slide", 16, step)

        step()

    def _put(self, toast: _Toast, y: float) -> None:
        toast.y = y
        toast.place(x=(self._root.winfo_width() - toast.wide) // 2, y=round(y))
        tk.Misc.tkraise(toast)
