"""Menus that open at a place: with the right button of the mouse, the menu key, or Shift+F10."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from phaselock.ui import theme
from phaselock.ui.direction import visual
from phaselock.ui.widgets.raster import image

Item: TypeAlias = tuple[str, Callable[[], object]]
"""A text, and what it does."""
_LINE_WIDTH = 176
_BLANK = "  "
"""Left and right of each text."""
Items: TypeAlias = Sequence[Item | None]
"""None: a line between two groups."""


def popup(widget: tk.Misc, items: Items, x: int, y: int) -> None:
    """Open a menu with its corner at a place of the widget. Without items nothing opens."""
    root: Any = theme.root()
    menu: tk.Menu | None = vars(root).get("_menu")
    if menu is None or not menu.winfo_exists():
        menu = root._menu = _new(root)
    menu.delete(0, "end")
    for item in items:
        if item is None:
            _add_line(menu)
        else:
            text, command = item
            menu.add_command(label=f"{_BLANK}{visual(text)}{_BLANK}", command=command)
    if any(items):
        menu.tk_popup(widget.winfo_rootx() + x, widget.winfo_rooty() + y)


def bind_menu(widget: tk.Misc, at_pointer: Callable[[tk.Event[Any]], object], by_key: Callable[[], object]) -> None:
    """Call `at_pointer` for a click with the right button, and `by_key` for the keys that open a menu."""

    def key(_event: object) -> str:
        by_key()
        return "break"

    system = widget.tk.call("tk", "windowingsystem")
    clicks = ("<ButtonPress-2>", "<Control-ButtonPress-1>") if system == "aqua" else ("<ButtonPress-3>",)
    for sequence in clicks:
        widget.bind(sequence, at_pointer)
    keys = {"x11": ("<Key-Menu>",), "win32": ("<Key-App>",)}.get(system, ())
    for sequence in (*keys, "<Shift-Key-F10>"):
        widget.bind(sequence, key)


def _add_line(menu: tk.Menu) -> None:
    """A line between two groups. X11 would draw it in white."""
    if menu.tk.call("tk", "windowingsystem") != "x11":
        menu.add_separator()
        return
    size = theme.px(_LINE_WIDTH), theme.px(9)
    middle = size[1] // 2
    strip = [(0, middle), (size[0], middle), (size[0], middle + 1), (0, middle + 1)]
    line = theme.kept(("strip", size), lambda: image(*size, [([strip], theme.REST)], theme.ELEVATED))
    menu.add_command(image=line, state="disabled")
    vars(menu).setdefault("_lines", set()).add(line)


def _new(root: tk.Tk) -> tk.Menu:
    """Windows and macOS draw menus in their own way and colours."""
    menu = tk.Menu(root, tearoff=False)
    if root.tk.call("tk", "windowingsystem") == "x11":
        menu.configure(
            background=theme.ELEVATED,
            foreground=theme.TEXT,
            activebackground=theme.RAISED,
            activeforeground=theme.TEXT,
            activeborderwidth=theme.px(4),
            disabledforeground=theme.REST,
            borderwidth=0,
            relief="flat",
            font=theme.canvas_font(theme.SECONDARY),
        )
    return menu
