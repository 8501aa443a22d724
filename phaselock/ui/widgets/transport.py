"""Play or pause, and around it the buttons for what plays next."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Collection
from typing import Any, Literal, TypeAlias

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.widgets.buttons import IconButton

Button: TypeAlias = Literal["shuffle", "stop", "previous", "play", "next", "repeat"]
SMALL = 32
_GAP = 4


class Transport(tk.Frame):
    """Six buttons in a row; `commands`: what each of them does. With another one at the end, which `last` creates, play
    is in the middle."""

    def __init__(
        self,
        master: Any,
        commands: dict[Button, Callable[[], object]],
        last: Callable[[tk.Frame], IconButton] | None = None,
    ) -> None:
        super().__init__(master, background=theme.behind(master), borderwidth=0, highlightthickness=0)
        self.shuffle = IconButton(self, "shuffle", commands["shuffle"], diameter=SMALL)
        self.stop = IconButton(self, "stop", commands["stop"], diameter=SMALL, tooltip=tr("Stop"))
        self.previous = IconButton(self, "previous", commands["previous"], tooltip=tr("Previous"))
        self.play = IconButton(self, "play", commands["play"], diameter=56, filled=True, tooltip=tr("Play"))
        self.next = IconButton(self, "next", commands["next"], tooltip=tr("Next"))
        self.repeat = IconButton(self, "repeat", commands["repeat"], diameter=SMALL)
        row = [self.shuffle, self.stop, self.previous, self.play, self.next, self.repeat]
        if last is not None:
            row.append(last(self))
        for column, button in enumerate(row):
            button.grid(row=0, column=column, padx=(theme.px(_GAP) if column else 0, 0))
        self._now: object = None
        self.set_modes(shuffle=False, repeat=False)

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

    def set_modes(self, *, shuffle: bool, repeat: bool) -> None:
        """Show whether the coming songs are shuffled, and whether the queue is repeated."""
        self.shuffle.set_on(shuffle)
        self.shuffle.set_tooltip(tr("Shuffle: on") if shuffle else tr("Shuffle: off"))
        self.repeat.set_on(repeat)
        self.repeat.set_tooltip(tr("Repeat: on") if repeat else tr("Repeat: off"))
