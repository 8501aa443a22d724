"""The overlay with the look of the window: size of the text, contrast, motion."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.ui import theme
from phaselock.ui.look import WindowLook
from phaselock.ui.screens.home import label
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton

NAMES = {"system": N_("As the system"), "on": N_("On"), "off": N_("Off")}


class DisplayOverlay(Overlay):
    """Each change takes effect at once."""

    def __init__(self, master: Any, look: WindowLook, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Display"), on_close)
        self._look = look
        sizes = self._row(0, tr("Size of the text"))
        for column, (text, steps) in enumerate((("−", -1), (f"{look.text_percent} %", 0), ("+", 1))):
            button = SecondaryButton(sizes, text, functools.partial(look.change_text_size, steps))
            button.grid(row=0, column=column, padx=(px(8) if column else 0, 0))
        self._choice(1, tr("High contrast"), "contrast")
        self._choice(2, tr("Less motion"), "motion")

    def _choice(self, row: int, text: str, name: str) -> None:
        """A button that goes through the choices."""
        place, names = self._row(row, text), list(NAMES)
        chosen = self._look.choice(name)
        following = names[(names.index(chosen) + 1) % len(names)]
        SecondaryButton(place, tr(NAMES[chosen]), lambda: self._look.choose(name, following)).pack(anchor="e")

    def _row(self, row: int, text: str) -> Any:
        label(self.body, text, theme.BODY).grid(row=row, column=0, sticky="w", pady=px(8), padx=(0, px(48)))
        place = frame(self.body)
        place.grid(row=row, column=1, sticky="e", pady=px(8))
        return place
