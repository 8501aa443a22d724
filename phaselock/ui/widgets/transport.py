"""Previous, play or pause, stop, next."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Collection
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.buttons import IconButton


class Transport(tk.Frame):
    """Four buttons in a row; `enabled` in `set` names those that can be pressed."""

    def __init__(
        self,
        master: Any,
        on_play_pause: Callable[[], object],
        on_stop: Callable[[], object],
        on_next: Callable[[], object],
        on_previous: Callable[[], object],
    ) -> None:
        super().__init__(master, background=theme.behind(master), borderwidth=0, highlightthickness=0)
        self.previous = IconButton(self, "previous", on_previous, tooltip=tr("Previous"))
        self.play = IconButton(self, "play", on_play_pause, diameter=56, filled=True, tooltip=tr("Play"))
        self.stop = IconButton(self, "stop", on_stop, tooltip=tr("Stop"))
        self.next = IconButton(self, "next", on_next, tooltip=tr("Next"))
        for column, button in enumerate((self.previous, self.play, self.stop, self.next)):
            button.grid(row=0, column=column, padx=(theme.px(16) if column else 0, 0))
        self._now: object = None

    def set(self, playing: bool, enabled: Collection[str], play_tooltip: str) -> None:
        """Set icon, tooltip and enabled buttons; the tooltip says what the play button does, or why it is disabled."""
        now = (playing, frozenset(enabled), play_tooltip)
        if now == self._now:
            return
        self._now = now
        self.play.set_icon("pause" if playing else "play")
        self.play.set_tooltip(play_tooltip or (tr("Pause") if playing else tr("Play")))
        self.play.set_enabled(bool({"play", "pause", "play_pause"} & set(enabled)))
        for name, button in (("stop", self.stop), ("next", self.next), ("previous", self.previous)):
            button.set_enabled(name in enabled)
