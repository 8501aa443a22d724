"""Asks the window manager of X11 for a dark title bar. Windows and macOS have it from customtkinter."""

from __future__ import annotations

import ctypes
import tkinter as tk

HINT, VALUE = b"_GTK_THEME_VARIANT", b"dark"
"""The property that GTK sets for its dark windows; GNOME, Cinnamon and Xfce read it."""


def ask_for_dark(window: tk.Tk) -> None:
    """Set the hint; the window must be on the screen. No effect without X11."""
    if window.tk.call("tk", "windowingsystem") != "x11":
        return
    try:
        x = ctypes.CDLL("libX11.so.6")
    except OSError:
        return
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x.XOpenDisplay(window.winfo_screen().encode()))
    if not display:
        return
    # Tk's window lies inside of one that the window manager sees.
    root, outer, inner, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_void_p(), ctypes.c_uint()
    mine = ctypes.c_ulong(window.winfo_id())
    if x.XQueryTree(display, mine, *map(ctypes.byref, (root, outer, inner, count))) and outer.value != root.value:
        if inner:
            x.XFree(inner)
        hint, kind = (ctypes.c_ulong(x.XInternAtom(display, name, 0)) for name in (HINT, b"UTF8_STRING"))
        x.XChangeProperty(display, outer, hint, kind, 8, 0, VALUE, len(VALUE))
    x.XCloseDisplay(display)
