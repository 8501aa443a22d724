"""The overlay with the look of the window: size of the text, contrast, motion. It also has the one choice that belongs
to no other panel: whether this machine may become the host."""

from __future__ import annotations

import dataclasses
import functools
import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.ui import theme
from phaselock.ui.look import WindowLook
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.widgets import tooltip as tips
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton
from phaselock.ui.widgets.switch import Switch

NAMES = {"system": N_("As the system"), "on": N_("On"), "off": N_("Off")}


@dataclasses.dataclass(slots=True)
class Used:
    """The button that was used last. Each change makes the overlay again; the button keeps its place, so that the next
    click hits it again."""

    name: str = ""
    """Empty: none was used."""
    x: int = 0
    """Its middle, in pixels from the corner of the window."""
    y: int = 0
    keyboard: bool = False
    """It had the ring of the keyboard."""


class DisplayOverlay(Overlay):
    """Each change of the look takes effect at once, that of the host's role in the next jam."""

    def __init__(self, master: Any, api: WindowApi, look: WindowLook, on_close: Callable[[], None], used: Used) -> None:
        super().__init__(master, tr("Display"), on_close)
        self._api, self._look, self._used = api, look, used
        self._buttons: dict[str, SecondaryButton] = {}
        sizes = self._row(0, tr("Size of the text"))
        for column, (name, text, steps) in enumerate(
            (("smaller", "−", -1), ("usual", f"{look.text_percent} %", 0), ("larger", "+", 1))
        ):
            button = self._button(sizes, name, text, functools.partial(look.change_text_size, steps))
            button.grid(row=0, column=column, padx=(px(8) if column else 0, 0))
            reason = look.obstacle(steps)
            button.set_enabled(not reason)
            tips.attach(button, reason)
        self._choice(1, tr("High contrast"), "contrast")
        self._choice(2, tr("Less motion"), "motion")
        self.may_host = Switch(self._row(3, tr("May become the host")), self._set_may_host)
        self.may_host.set_on(api.program.preferences().may_host)
        self.may_host.pack(anchor="e")
        text = tr("If the host goes, the jam can go on from this machine. A change holds from the next jam on.")
        tips.attach(self.may_host, text)
        if used.name:
            self.bind("<Configure>", lambda _event: self._keep_place(), add="+")

    def focus_set(self) -> None:
        if self._used.keyboard:
            self._buttons[self._used.name].focus_set()
        else:
            super().focus_set()

    def _set_may_host(self, on: bool) -> None:
        self._api.program.set_may_host(on)
        self.may_host.set_on(on)

    def _choice(self, row: int, text: str, name: str) -> None:
        """A button that goes through the choices."""
        place, names = self._row(row, text), list(NAMES)
        chosen = self._look.choice(name)
        following = names[(names.index(chosen) + 1) % len(names)]
        self._button(place, name, tr(NAMES[chosen]), lambda: self._look.choose(name, following)).pack(anchor="e")

    def _button(self, place: Any, name: str, text: str, act: Callable[[], object]) -> SecondaryButton:
        def use() -> None:
            x, y = self._middle(name)
            self._used.name, self._used.x, self._used.y = name, x, y
            self._used.keyboard = button.keyboard
            act()

        button = self._buttons[name] = SecondaryButton(place, text, use)
        return button

    def _middle(self, name: str) -> tuple[int, int]:
        """The middle of a button, in pixels from the corner of the window."""
        button = self._buttons[name]
        x = button.winfo_rootx() + button.winfo_width() // 2 - self.winfo_rootx()
        return x, button.winfo_rooty() + button.winfo_height() // 2 - self.winfo_rooty()

    def _keep_place(self) -> None:
        """Place the panel so that the button which was used last is where it was, as far as the panel keeps
        its distance from the edges."""
        self.update_idletasks()
        x, y = self._middle(self._used.name)
        left = self.panel.winfo_rootx() - self.winfo_rootx() + self._used.x - x
        top = self.panel.winfo_rooty() - self.winfo_rooty() + self._used.y - y
        left = _inside(left, self.winfo_width(), self.panel.winfo_reqwidth())
        top = _inside(top, self.winfo_height(), self.panel.winfo_reqheight())
        tk.Place.place_configure(self.panel, relx=0, rely=0, x=left, y=top, anchor="nw")

    def _row(self, row: int, text: str) -> Any:
        label(self.body, text, theme.BODY).grid(row=row, column=0, sticky="w", pady=px(8), padx=(0, px(48)))
        place = frame(self.body)
        place.grid(row=row, column=1, sticky="e", pady=px(8))
        return place


def _inside(wanted: int, room: int, size: int) -> int:
    """The place that is nearest to the wanted one and leaves a margin on both sides; the middle if there is no room."""
    margin = min(px(16), (room - size) // 2)
    return max(min(wanted, room - size - margin), margin)
