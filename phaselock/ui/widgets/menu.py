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
_BLANK = "  "
"""Left and right of each text."""
_HEIGHT, _LINE_HEIGHT = 28, 9
Items: TypeAlias = Sequence[Item | None]
"""None: a line between two groups."""


def popup(widget: tk.Misc, items: Items, x: int, y: int, *, least_width: int = 0) -> None:
    """Open a menu with its corner at a place of the widget, at least `least_width` pixels wide. Without items nothing
    opens."""
    root: Any = theme.root()
    menu: tk.Menu | None = vars(root).get("_menu")
    if menu is None or not menu.winfo_exists():
        menu = root._menu = _new(root)
    font = theme.canvas_font(theme.SECONDARY)
    texts = [f"{_BLANK}{visual(item[0])}{_BLANK}" if item is not None else "" for item in items]
    width = max((theme.measure(text, font) for text in texts), default=0) + 1  # no image is without width
    _fill(menu, items, texts, width)
    menu.update_idletasks()
    if (missing := least_width - menu.winfo_reqwidth()) > 0:
        _fill(menu, items, texts, width + missing)
    if any(items):
        menu.tk_popup(widget.winfo_rootx() + x, widget.winfo_rooty() + y)


def _fill(menu: tk.Menu, items: Items, texts: Sequence[str], width: int) -> None:
    """Make the entries with these texts; `width`: of an entry without its margins."""
    menu.delete(0, "end")
    font = theme.canvas_font(theme.SECONDARY)
    images = vars(menu)["_images"] = []  # a menu holds no reference to them
    for item, text in zip(items, texts, strict=True):
        if menu.tk.call("tk", "windowingsystem") != "x11":
            menu.add_separator() if item is None else menu.add_command(label=text, command=item[1])
        elif item is None:
            images.append(_line(width))
            menu.add_command(image=images[-1], state="disabled")
        else:
            images.append(_blank(width - theme.measure(text, font)))
            menu.add_command(label=text, command=item[1], image=images[-1], compound="right")


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


def _line(width: int) -> tk.PhotoImage:
    """A line between two groups, from the beginning of the texts on. X11 would draw it in white."""
    size = width, theme.px(_LINE_HEIGHT)
    left, middle = theme.measure(_BLANK, theme.canvas_font(theme.SECONDARY)), size[1] // 2
    strip = [(left, middle), (size[0], middle), (size[0], middle + 1), (left, middle + 1)]
    return theme.kept(("strip", size), lambda: image(*size, [([strip], theme.REST)], theme.ELEVATED))


def _blank(width: int) -> tk.PhotoImage:
    """The transparent end of an entry: all entries of a menu are equally wide, and high enough without a border, which
    X11 would draw as a bevel."""
    size = width, theme.px(_HEIGHT)
    return theme.kept(("blank", size), lambda: tk.PhotoImage(master=theme.root(), width=size[0], height=size[1]))


def _new(root: tk.Tk) -> tk.Menu:
    """Windows and macOS draw menus in their own way and colours."""
    menu = tk.Menu(root, tearoff=False)
    if root.tk.call("tk", "windowingsystem") == "x11":
        menu.configure(
            background=theme.ELEVATED,
            foreground=theme.TEXT,
            activebackground=theme.RAISED,
            activeforeground=theme.TEXT,
            activeborderwidth=0,
            disabledforeground=theme.REST,
            borderwidth=0,
            relief="flat",
            font=theme.canvas_font(theme.SECONDARY),
        )
    return menu
