"""Names of pressed keys that do not depend on the keyboard layout or on caps lock.

Tk names a key by the character of the present layout. With a Cyrillic or Greek layout it never reports the Latin
letters that shortcuts name, with caps lock it reports capitals. `chord` gives the Latin letter of the layout if it has
one (AZERTY, QWERTZ, Dvorak), else the letter that a US keyboard has at this place, as Windows does it.
"""

from __future__ import annotations

import re
import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.ui.widgets.base import alternates, commands

_MAC_LETTERS = "asdfhgzxcv.bqweryt.............ou.ip.lj.k....nm"
"""Letters of the virtual key codes of macOS, from kVK_ANSI_A on; a point is another key."""
_X11_LETTERS = {24: "qwertyuiop", 38: "asdfghjkl", 52: "zxcvbnm"}
"""The letters of a row of keys, by the code of the first one: the codes of evdev, which Xvfb and VNC have, too."""
_FOREIGN = re.compile(
    "(Arabic|Armenian|Byelorussian|Cyrillic|Farsi|Georgian|Greek|Macedonia|Serbian|Thai|Ukrainian|hebrew|kana)_"
    r"|U(0[3-9A-F]|[1-9A-F])[0-9A-F]{2,}$|\?\?$"
)
"""Names of letters of other scripts. Tk has "??" for a character that it does not know."""
_EDITS = {"a": "<<SelectAll>>", "c": "<<Copy>>", "v": "<<Paste>>", "x": "<<Cut>>", "z": "<<Undo>>"}

_REPLACE = "if {![catch {::tk::GetSelection %W CLIPBOARD}]} {catch {%W delete sel.first sel.last}}"


def chord(event: tk.Event[Any]) -> str:
    """The name of a pressed key, as "space", "m" or "Control-o". Control stands for Command on macOS too. Shift is not
    named: it has its part in the character. With Alt, and so with AltGr of Windows, the name is empty."""
    if alternates(event):
        return ""
    system = str(event.widget.tk.call("tk", "windowingsystem"))
    name = letter(event.keysym, event.keycode, system) or event.keysym
    return f"Control-{name}" if commands(event) else name


def letter(keysym: str, keycode: int, system: str) -> str:
    """The Latin letter of a key in lower case, empty if it has none. `keysym` and `keycode` are those of Tk's event,
    `system` is its windowing system."""
    if len(keysym) == 1 and keysym.isascii() and keysym.isalpha():
        return keysym.lower()
    if system == "win32":  # a virtual key code is that of a letter, also where the layout has another script
        return chr(keycode).lower() if ord("A") <= keycode <= ord("Z") else ""
    if not _FOREIGN.match(keysym):
        return ""
    if system == "x11":
        return next((row[keycode - at] for at, row in _X11_LETTERS.items() if at <= keycode < at + len(row)), "")
    return _MAC_LETTERS[keycode >> 24 : (keycode >> 24) + 1].strip(".")


def edit_by_keys(root: tk.Tk) -> None:
    """Let all entries copy, cut, paste, undo and select everything by these keys of any layout. Tk does so for Latin
    layouts only. On X11 its Control-a is the key of Emacs, and a pasted text does not replace the selection."""
    control_a = "<Control-Key-a>", "<Control-Lock-Key-A>"
    if root.tk.call("tk", "windowingsystem") == "x11":
        root.event_delete("<<LineStart>>", *control_a)
        root.event_add("<<SelectAll>>", *control_a)
        paste = root.tk.call("bind", "Entry", "<<Paste>>")
        if _REPLACE not in paste:
            root.tk.call("bind", "Entry", "<<Paste>>", f"{_REPLACE}\n{paste}")
    root.bind_class("Entry", "<Control-Key>", edit)
    if root.tk.call("tk", "windowingsystem") == "aqua":
        root.bind_class("Entry", "<Command-Key>", edit)


def before_paste(root: tk.Tk, take: Callable[[], bool]) -> None:
    """Call `take` before anything is pasted into an entry; True: it has taken what is in the clipboard."""
    paste = root.tk.call("bind", "Entry", "<<Paste>>")
    root.tk.call("bind", "Entry", "<<Paste>>", f"if {{[{root.register(take)}]}} break\n{paste}")


def edit(event: tk.Event[Any]) -> None:
    """Do what the key means in a text or a list. Tk has found no command for it."""
    if done := _EDITS.get(chord(event).removeprefix("Control-")):
        event.widget.event_generate(done)
