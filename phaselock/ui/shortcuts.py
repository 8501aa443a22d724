"""The shortcuts of the window: which key gives which command, and who executes it."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Mapping
from typing import Any

from phaselock.ui.keys import chord, edit, edit_by_keys
from phaselock.ui.widgets.buttons import Clickable

COMMANDS = {
    "space": "play_pause",
    "Control-Right": "next",
    "Control-Left": "previous",
    "Right": "forward",
    "Left": "back",
    "Control-Up": "louder",
    "Control-Down": "quieter",
    "m": "mute",
    "Control-o": "add",
    "Control-s": "shuffle",
    "Control-r": "repeat",
    "Control-z": "undo",
    "Control-f": "find",
    "Control-l": "find",
    "Control-t": "chat",
    "Control-v": "paste",
    "question": "shortcuts",
}
"""What a key does, except in a text."""
EVERYWHERE = {
    "Escape": "escape",
    "Control-q": "quit",
    "Control-w": "quit",
    "F11": "full_screen",
    "Control-comma": "display",
    "Control-plus": "larger",
    "Control-equal": "larger",
    "Control-KP_Add": "larger",
    "Control-minus": "smaller",
    "Control-KP_Subtract": "smaller",
    "Control-0": "usual_size",
    "Control-KP_0": "usual_size",
    "XF86AudioPlay": "play_pause",
    "XF86AudioPause": "play_pause",
    "XF86AudioStop": "stop",
    "XF86AudioNext": "next",
    "XF86AudioPrev": "previous",
}
"""What a key does in a text, too."""
TEXT_WIDGETS = ("Entry", "Text", "TEntry")


def bind_shortcuts(root: tk.Tk, own: Mapping[str, Callable[[], object]], to_screen: Callable[[str], bool]) -> None:
    """Let keys call the commands of `own`, and `to_screen` with the name of any other command. The other keys edit
    texts and lists, and so do all keys for which `to_screen` returns False: no screen is there to take them."""

    def on_key(event: Any) -> None:
        name = chord(event)
        command = EVERYWHERE.get(name) or ("" if _typing(event) else COMMANDS.get(name, ""))
        if command in own:
            own[command]()
        elif not (command and to_screen(command)) and not _typing(event):
            edit(event)

    def release_focus(event: Any) -> None:
        """A clicked button does not keep the keyboard, so that space plays and pauses."""
        if isinstance(event.widget, Clickable) and str(root.tk.call("focus")) == str(event.widget):
            root.focus_set()

    edit_by_keys(root)
    root.bind("<Key>", on_key)
    root.bind_all("<ButtonRelease-1>", release_focus, add="+")


def _typing(event: Any) -> bool:
    return event.widget.winfo_class() in TEXT_WIDGETS if hasattr(event.widget, "winfo_class") else False
