"""Tooltips: one small window for all widgets, shown 500 ms after the pointer has entered one."""

from __future__ import annotations

import sys
import tkinter as tk
from collections.abc import Callable
from typing import Any, TypeAlias

from phaselock.ui import theme
from phaselock.ui.direction import wrapped

Text: TypeAlias = str | Callable[[], str]

DELAY_MS = 500
_MAX_WIDTH = 320


class _Tip:
    """The window of all tooltips; created at first use."""

    def __init__(self, root: tk.Tk) -> None:
        self._root = root
        self._window: tk.Toplevel | None = None
        self._label: tk.Label | None = None
        self._timer: str | None = None
        self._owner: tk.Misc | None = None

    def schedule(self, owner: tk.Misc, text: Callable[[], str]) -> None:
        self.hide()
        self._owner = owner
        self._timer = self._root.after(DELAY_MS, lambda: self._show(owner, text))

    def hide(self, owner: tk.Misc | None = None) -> None:
        if owner is not None and owner is not self._owner:
            return
        self._owner = None
        if self._timer is not None:
            self._root.after_cancel(self._timer)
            self._timer = None
        if self._window is not None and self._window.winfo_exists():
            self._window.withdraw()

    def text(self) -> str:
        shown = self._window is not None and self._window.winfo_exists() and self._window.state() == "normal"
        return str(self._label.cget("text")) if shown and self._label is not None else ""

    def _show(self, owner: tk.Misc, text: Callable[[], str]) -> None:
        self._timer = None
        words = text() if owner.winfo_exists() and owner.winfo_viewable() else ""
        if not words:
            return
        window, label = self._made()
        label.configure(text=wrapped(words, theme.canvas_font(theme.CAPTION), theme.px(_MAX_WIDTH)))
        window.update_idletasks()
        width, height = window.winfo_reqwidth(), window.winfo_reqheight()
        x, y = self._root.winfo_pointerxy()
        x = min(x + theme.px(8), self._root.winfo_vrootx() + self._root.winfo_screenwidth() - width - theme.px(4))
        below = y + theme.px(20)
        y = below if below + height <= self._root.winfo_screenheight() else y - height - theme.px(8)
        window.geometry(f"+{max(x, 0)}+{max(y, 0)}")
        window.deiconify()
        window.lift()

    def _made(self) -> tuple[tk.Toplevel, tk.Label]:
        if self._window is None or self._label is None or not self._window.winfo_exists():
            self._window = tk.Toplevel(self._root, background=theme.REST, padx=1, pady=1)
            self._window.withdraw()
            self._window.overrideredirect(True)
            if sys.platform == "darwin":
                try:  # a style that does not take the focus
                    self._window.tk.call(
                        "::tk::unsupported::MacWindowStyle", "style", self._window, "help", "noActivates"
                    )
                except tk.TclError:
                    pass
            elif sys.platform != "win32":
                self._window.wm_attributes("-type", "tooltip")
            self._label = tk.Label(
                self._window,
                background=theme.ELEVATED,
                foreground=theme.TEXT,
                font=theme.canvas_font(theme.CAPTION),
                justify="left",
                wraplength=theme.px(_MAX_WIDTH),
                padx=theme.px(8),
                pady=theme.px(4),
            )
            self._label.pack()
        return self._window, self._label


def _tip() -> _Tip:
    root: Any = theme.root()
    tip: _Tip | None = vars(root).get("_tip")
    if tip is None:
        tip = root._tip = _Tip(root)
    return tip


def attach(widget: Any, text: Text) -> None:
    """Give a widget a tooltip, or change it; an empty text shows none."""
    bound = getattr(widget, "_tooltip", None) is not None
    widget._tooltip = text
    if bound:
        return

    def current() -> str:
        now: Text = widget._tooltip
        return now if isinstance(now, str) else now()

    def pressed(_event: object) -> None:
        if getattr(widget, "enabled", True):
            hide(widget)
        else:
            _tip().schedule(widget, current)  # it says why nothing happens

    widget.bind("<Enter>", lambda _event: _tip().schedule(widget, current), add="+")
    widget.bind("<ButtonPress-1>", pressed, add="+")
    for sequence in ("<Leave>", "<KeyPress>", "<Unmap>", "<Destroy>"):
        widget.bind(sequence, lambda _event: hide(widget), add="+")


def schedule(widget: tk.Misc, text: str) -> None:
    """Show a tooltip for a part of a widget after the delay, unless `hide` is called before."""
    _tip().schedule(widget, lambda: text)


def hide(widget: tk.Misc) -> None:
    """Hide the tooltip of this widget."""
    try:
        _tip().hide(widget)
    except tk.TclError:
        pass  # the window is being destroyed


def shown() -> str:
    """The text that is shown; empty: none."""
    return _tip().text()
